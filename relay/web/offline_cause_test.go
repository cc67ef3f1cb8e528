package web

import (
	"testing"
	"time"

	"sallyport/proto"
	"sallyport/relay/hub"
	"sallyport/relay/registry"
)

func TestPauseAndCauseAreSaidInWords(t *testing.T) {
	since := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	in := registry.Instance{Online: true, Instance: hub.Instance{Hostname: "plc7", Paused: &proto.Paused{Since: since, Reason: "month-end closing"}}}
	if s := statusOf(registry.Agent{Status: registry.Paused, Instances: []registry.Instance{in}}); s.Word != "Paused by the site" || s.Detail != "since" || !s.Since.Equal(since) || s.Status != "paused" {
		t.Errorf("got %+v", s)
	}
	if p := pauseOf(registry.Agent{Status: registry.Paused, Instances: []registry.Instance{in}}); p == nil || p.Reason != "month-end closing" {
		t.Errorf("got %+v", p)
	}
	if row := machineRowOf(in); row.Status.Word != "Paused by the site" || row.Status.Status != "paused" {
		t.Errorf("got %+v", row.Status)
	}
	for cause, want := range map[proto.OfflineCause]string{
		proto.CauseRebooted: "plc7: no sign of life. The machine was restarted (in words).",
		"from_the_future":   "plc7: no sign of life. The machine says: from the future (in words).",
	} {
		row := historyRowOf(registry.Happening{Hostname: "plc7", Reason: "no sign of life", Cause: string(cause), Detail: "in words"})
		if row.Text != want {
			t.Errorf("got %q, want %q", row.Text, want)
		}
	}
	if row := historyRowOf(registry.Happening{Hostname: "plc7", Cause: "slept"}); row.Text != "plc7: The machine was asleep." {
		t.Errorf("got %q", row.Text)
	}
}
