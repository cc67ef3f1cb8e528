package proto_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport/proto"
)

func TestControlMessagesArriveAsTheyWereSent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want proto.Control = &proto.PingTimes{RTTMicros: rapid.Int64Range(0, 3_600_000_000).Draw(t, "rtt")}
		if rapid.Bool().Draw(t, "drain") {
			want = &proto.Drain{WithinMs: rapid.IntRange(0, 3_600_000).Draw(t, "within"), Reason: rapid.StringMatching(`[ -~]{0,600}`).Draw(t, "reason")}
		}
		if rapid.Bool().Draw(t, "policy") {
			want = &proto.PolicySummary{Version: rapid.StringMatching(`[0-9a-f]{8}`).Draw(t, "version"), Rules: rapid.IntRange(0, 1000).Draw(t, "rules"),
				Default: rapid.SampledFrom([]string{proto.PolicyAllow, proto.PolicyDeny}).Draw(t, "default"), Open: rapid.Bool().Draw(t, "open")}
		}
		switch rapid.IntRange(0, 7).Draw(t, "other") {
		case 1:
			want = &proto.Paused{Since: instant(t, "since"), Until: instant(t, "until"), Reason: rapid.StringMatching(`[ -~]{0,200}`).Draw(t, "reason")}
		case 2:
			from := instant(t, "from")
			want = &proto.OfflineReport{ID: "r1", From: from, To: from.Add(time.Minute), Cause: proto.CauseSlept, Detail: rapid.StringMatching(`[ -~]{0,400}`).Draw(t, "detail")}
		case 7:
			want = &proto.ConfigState{Version: "0a1b2c3d", LoadedAt: instant(t, "loaded"), Error: rapid.StringMatching(`([ -~]{0,60}\n){0,9}`).Draw(t, "error"),
				Since: instant(t, "since"), NeedsRestart: []string{"relay"}}
		case 3:
			want = &proto.OfflineNoted{ID: "r1"}
		case 4:
			want = &proto.FollowLogs{Level: rapid.SampledFrom([]string{"", "debug", "info", "warn", "error"}).Draw(t, "level")}
		case 5:
			want = &proto.LogLines{Dropped: rapid.IntRange(0, 1e6).Draw(t, "dropped"), Off: rapid.Bool().Draw(t, "off"), Lines: []proto.LogLine{
				{Time: instant(t, "at"), Level: "info", Logger: "link", Message: rapid.String().Draw(t, "msg"), Fields: []byte(`{"slot":1}`)}}}
		}
		raw, err := proto.EncodeControl(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := proto.DecodeControl(raw)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func instant(t *rapid.T, name string) time.Time {
	return time.Unix(rapid.Int64Range(1, 4e9).Draw(t, name), 0).UTC()
}

// TestControlMessagesOfNewerVersionsArePassedOver, and fields that are new.
func TestControlMessagesOfNewerVersionsArePassedOver(t *testing.T) {
	if m, err := proto.DecodeControl([]byte(`{"type":"fromTheFuture","x":[1,2]}`)); m != nil || err != nil {
		t.Errorf("got %v, %v", m, err)
	}
	m, err := proto.DecodeControl([]byte(`{"type":"drain","withinMs":5,"new":true}`))
	if drain, ok := m.(*proto.Drain); err != nil || !ok || drain.WithinMs != 5 {
		t.Errorf("got %v, %v", m, err)
	}
}

func TestFaultyControlMessages(t *testing.T) {
	for _, raw := range []string{
		"", "nonsense", "[]", "{}", `{"type":""}`, `{"type":"drain","withinMs":-1}`, `{"type":"drain","withinMs":"soon"}`,
		`{"type":"drain"`, // cut off
		`{"type":"drain","reason":"` + strings.Repeat("x", proto.MaxControlMessage) + `"}`,
		`{"type":"policySummary","version":"","rules":1,"default":"deny"}`, `{"type":"policySummary","version":"x","rules":-1,"default":"deny"}`,
		`{"type":"policySummary","version":"x","rules":1,"default":"perhaps"}`, `{"type":"policySummary","version":"x","rules":"all"}`,
		`{"type":"paused","reason":"why"}`, `{"type":"paused","since":"soon"}`, `{"type":"offlineNoted","id":"a b"}`,
		`{"type":"paused","since":"2026-01-01T00:00:00Z","reason":"` + strings.Repeat("x", proto.MaxPauseReason+1) + `"}`,
		`{"type":"offlineReport","id":"r1","from":"2026-01-02T00:00:00Z","to":"2026-01-01T00:00:00Z","cause":"slept"}`,
		`{"type":"offlineReport","id":"r1","from":"2026-01-02T00:00:00Z","to":"2026-01-03T00:00:00Z","cause":"<b>"}`,
		`{"type":"followLogs","level":"loud"}`, `{"type":"logLines","dropped":-1}`, `{"type":"logLines","lines":[{"level":"info","fields":[1]}]}`,
		`{"type":"logLines","lines":[{"level":"info","msg":"` + strings.Repeat("x", proto.MaxLogMessage+1) + `"}]}`,
		`{"type":"configState","version":"x"}`, `{"type":"configState","version":"","loadedAt":"2026-01-02T00:00:00Z"}`,
		`{"type":"configState","version":"x","loadedAt":"2026-01-02T00:00:00Z","error":"a\tb"}`, `{"type":"configState","version":"x","loadedAt":"2026-01-02T00:00:00Z","needsRestart":[""]}`,
		`{"type":"configState","version":"x","loadedAt":"2026-01-02T00:00:00Z","error":"` + strings.Repeat("x", proto.MaxConfigError+1) + `"}`,
		`{"type":"pingTimes","rttMicros":-5}`, `{"type":"rest"}`, `{"type":"drain","reason":"a\u0007b"}`,
	} {
		if m, err := proto.DecodeControl([]byte(raw)); !errors.Is(err, proto.ErrControl) {
			t.Errorf("%.40q: got %v, %v", raw, m, err)
		}
	}
	if _, err := proto.EncodeControl(&proto.Drain{WithinMs: -1}); !errors.Is(err, proto.ErrControl) {
		t.Errorf("got %v", err)
	}
}

func FuzzDecodeControl(f *testing.F) {
	f.Add([]byte(`{"type":"drain","withinMs":10}`))
	f.Add([]byte(`{"type":"new"}`))
	f.Add([]byte(`{"type":"paused","since":"2026-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"type":"logLines","lines":[{"level":"warn","msg":"x","fields":{}}]}`))
	f.Add([]byte(`{"type":"policySummary","version":"0a1b2c3d","rules":3,"default":"deny"}`))
	f.Add([]byte(`{"type":"pingTimes","rttMicros":3}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := proto.DecodeControl(raw)
		switch {
		case err != nil && !errors.Is(err, proto.ErrControl):
			t.Fatal(err)
		case err == nil && m != nil && len(raw)*6 <= proto.MaxControlMessage: // written out, a character may become an escape of six
			if _, err := proto.EncodeControl(m); err != nil {
				t.Fatalf("accepted, but can't be written: %v", err)
			}
		}
	})
}
