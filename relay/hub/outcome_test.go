package hub

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/hashicorp/yamux"

	"sallyport/proto"
)

// TestOutcomeWhereThisEndGaveUp: a stream that the agent ended in order proves
// nothing once this end has broken it off, or its caller has gone away.
func TestOutcomeWhereThisEndGaveUp(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		body error
		err  error
		want proto.Outcome
	}{
		{"the body broke off", t.Context(), errors.New("the caller went away"), io.EOF, proto.OutcomeUnknown},
		{"the caller went away", gone, nil, io.EOF, proto.OutcomeUnknown},
		{"never accepted", gone, nil, yamux.ErrConnectionReset, proto.OutcomeNotSent},
	} {
		x := &exchange{ctx: c.ctx, req: &http.Request{Method: http.MethodPost}, body: &upload{err: c.body}}
		if got := x.outcome(c.err); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestBeatsMakeUpForMissedTicks: each group is pinged once a heartbeat, however
// late the ticks come.
func TestBeatsMakeUpForMissedTicks(t *testing.T) {
	for _, c := range []struct {
		done, due int64
		want      string
	}{
		{0, 0, "........"},
		{0, 1, ".x......"},
		{7, 8, "x......."},
		{8, 11, ".xxx...."},
		{6, 9, "xx.....x"},
		{9, 17, "xxxxxxxx"},
		{9, 900, "xxxxxxxx"},
	} {
		got := ""
		for _, due := range dueGroups(c.done, c.due) {
			got += map[bool]string{false: ".", true: "x"}[due]
		}
		if got != c.want {
			t.Errorf("from beat %d to %d: %s, want %s", c.done, c.due, got, c.want)
		}
	}
}
