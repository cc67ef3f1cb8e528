package tunnel

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"sallyport/agent/link"
	"sallyport/agent/logs"
	"sallyport/internal/testkit"
	"sallyport/proto"
	"sallyport/relay/hub"
)

// logging runs a machine whose log may be followed, or not.
func (r *relay) logging(instanceID string, remote bool) (*logs.Logs, *site) {
	r.t.Helper()
	l, err := logs.Open(logs.Options{Level: "error", Remote: remote})
	if err != nil {
		r.t.Fatal(err)
	}
	s := r.agent(r.dir.enrol("agt_1", instanceID), forwarding(r.t), func(o *link.Options) {
		o.Identity.InstanceID, o.Machine.Hostname = instanceID, instanceID
		o.Hear = func(m proto.Control, from link.Peer) {
			if f, ok := m.(*proto.FollowLogs); ok {
				l.Tail().Follow(f.Level, from)
			}
		}
	})
	r.t.Cleanup(func() {
		s.stop()
		if err := l.Close(); err != nil {
			r.t.Error(err)
		}
	})
	return l, s
}

// until reads until a line of the instance has the text, which is logged again
// and again meanwhile.
func until(t *testing.T, r *hub.LogReader, l *logs.Logs, instanceID, text string) {
	t.Helper()
	logUntil(t, r, func() { l.Logger().Warn(text) }, fmt.Sprintf("%q of %s", text, instanceID), func(n hub.LogNews, line proto.LogLine) bool {
		return n.InstanceID == instanceID && strings.Contains(line.Message, text)
	})
}

// logUntil reads until a line is the one that is wanted, and logs again and again
// meanwhile.
func logUntil(t *testing.T, r *hub.LogReader, log func(), what string, wanted func(hub.LogNews, proto.LogLine) bool) {
	t.Helper()
	timeout := time.After(patience)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case n := <-r.C:
			for _, line := range n.Lines {
				if wanted(n, line) {
					return
				}
			}
		case <-again.C:
			log()
		case <-timeout:
			t.Fatalf("no line: %s", what)
		}
	}
}

func TestLogIsFollowedWhateverTunnelBreaks(t *testing.T) {
	r := newRelay(t, false)
	one, _ := r.logging("ins_1", true)
	r.awaitTunnels(2)
	all, errorsOnly := r.hub.FollowLogs("agt_1", "", "info"), r.hub.FollowLogs("agt_1", "ins_1", "error")
	defer all.Close()
	until(t, all, one, "ins_1", "first")
	one.Logger().Error("grave", zap.Int("n", 1))
	select {
	case n := <-errorsOnly.C:
		if len(n.Lines) != 1 || n.Lines[0].Message != "grave" || string(n.Lines[0].Fields) != `{"n":1}` || n.Hostname != "ins_1" {
			t.Errorf("got %+v", n)
		}
	case <-time.After(patience):
		t.Error("no error came")
	}
	errorsOnly.Close()

	r.net.Cut() // both tunnels
	until(t, all, one, "ins_1", "after the break")
	two, _ := r.logging("ins_2", true) // a machine that comes later
	until(t, all, two, "ins_2", "second")

	all.Close()
	testkit.Eventually(t, patience, "nothing is gathered any more", func() error {
		for _, l := range []*logs.Logs{one, two} {
			if l.Tail().Followed() {
				return errors.New("it is")
			}
		}
		return nil
	})
}

func TestSiteThatSharesNoLogSaysSo(t *testing.T) {
	r := newRelay(t, false)
	r.logging("ins_1", false)
	r.awaitTunnels(2)
	reader := r.hub.FollowLogs("agt_1", "", "info")
	defer reader.Close()
	select {
	case n := <-reader.C:
		if !n.Off || len(n.Lines) > 0 {
			t.Errorf("got %+v", n)
		}
	case <-time.After(patience):
		t.Error("it says nothing")
	}
}

// TestReaderThatFallsBehindHoldsNobodyUp: what it misses is counted.
func TestReaderThatFallsBehindHoldsNobodyUp(t *testing.T) {
	r := newRelay(t, false)
	one, _ := r.logging("ins_1", true)
	r.awaitTunnels(2)
	stuck, quick := r.hub.FollowLogs("agt_1", "", "debug"), r.hub.FollowLogs("agt_1", "", "debug")
	defer stuck.Close()
	defer quick.Close()
	until(t, quick, one, "ins_1", "go")
	const flood = 20_000
	for i := range flood {
		one.Logger().Debug("request served", zap.Int("n", i))
	}
	one.Logger().Error("the end")
	count := func(reader *hub.LogReader) (lines, dropped int) {
		testkit.Eventually(t, 3*patience, "every line is there or counted", func() error {
			for {
				select {
				case n := <-reader.C:
					dropped += n.Dropped
					for _, l := range n.Lines {
						if l.Message == "request served" {
							lines++
						}
					}
				default:
					if lines+dropped < flood {
						return fmt.Errorf("%d lines, %d dropped", lines, dropped)
					}
					return nil
				}
			}
		})
		return lines, dropped
	}
	if lines, dropped := count(quick); dropped == 0 || lines == 0 {
		t.Errorf("%d lines, %d dropped: a flood has no bounds", lines, dropped)
	}
}
