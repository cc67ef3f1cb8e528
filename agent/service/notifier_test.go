package service

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// heard is a service manager that notes what it is told, and when.
type heard struct {
	watchdog time.Duration
	begun    time.Time

	said []string // read only where synctest.Wait has returned, or after stop
	at   []time.Duration
}

func (h *heard) Tell(assignments ...string) {
	h.said = append(h.said, strings.Join(assignments, " "))
	h.at = append(h.at, time.Since(h.begun))
}

func (h *heard) Watchdog() time.Duration { return h.watchdog }

// when is at which time something was said first.
func (h *heard) when(t *testing.T, what string) time.Duration {
	t.Helper()
	synctest.Wait()
	i := slices.IndexFunc(h.said, func(s string) bool { return strings.Contains(s, what) })
	if i < 0 {
		t.Fatalf("never said %q: %q", what, h.said)
	}
	return h.at[i]
}

func TestReadyComesWithTheFirstTunnel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heard{begun: time.Now()}
		ctx, cancel := context.WithCancel(t.Context())
		stop := announce(ctx, h, func() Health {
			if time.Since(h.begun) < 3*time.Second {
				return Health{Text: "connecting"}
			}
			return Health{Online: true, Text: "online"}
		})
		time.Sleep(20 * time.Second)
		if at := h.when(t, "READY=1 STATUS=online"); at < 3*time.Second || at > 4*time.Second {
			t.Errorf("ready after %v", at)
		}
		cancel()
		stop()
		if diff := cmp.Diff([]string{"STATUS=connecting", "READY=1 STATUS=online", "STOPPING=1 STATUS=stopping; requests under way may finish"}, h.said); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWithoutARelayItIsReadyAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heard{begun: time.Now()}
		online := make(chan struct{})
		stop := announce(t.Context(), h, func() Health {
			select {
			case <-online:
				return Health{Online: true, Text: "online"}
			default:
				return Health{Text: "no route"}
			}
		})
		time.Sleep(time.Minute)
		if at := h.when(t, "READY=1 STATUS=no route"); at != readyWithin {
			t.Errorf("ready after %v", at)
		}
		close(online)
		time.Sleep(time.Minute)
		synctest.Wait()
		if last := h.said[len(h.said)-1]; last != "STATUS=online" {
			t.Errorf("it said last %q", last)
		}
		stop()
	})
}

func TestTheWatchdogHearsMoreOftenThanItAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heard{begun: time.Now(), watchdog: 30 * time.Second}
		ctx, cancel := context.WithCancel(t.Context())
		stop := announce(ctx, h, func() Health { return Health{Online: true, Text: "online"} })
		time.Sleep(5 * time.Minute)
		cancel() // requests under way take their time
		time.Sleep(time.Minute)
		stop()
		last := time.Duration(0)
		for i, said := range h.said {
			if strings.Contains(said, "WATCHDOG=1") {
				if gap := h.at[i] - last; gap > h.watchdog/2 {
					t.Errorf("silent for %v", gap)
				}
				last = h.at[i]
			}
		}
		if last < 5*time.Minute+50*time.Second {
			t.Errorf("last heard of after %v", last)
		}
	})
}

func TestAHungAgentIsNotSaidToLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heard{begun: time.Now(), watchdog: 30 * time.Second}
		hung, first := make(chan struct{}), true
		stop := announce(t.Context(), h, func() Health {
			if !first {
				<-hung
			}
			first = false
			return Health{Online: true, Text: "online"}
		})
		time.Sleep(time.Hour)
		synctest.Wait()
		if slices.Contains(h.said, "WATCHDOG=1") {
			t.Errorf("it said %q", h.said)
		}
		close(hung)
		stop()
	})
}

func TestWithoutAManagerNothingIsSaid(t *testing.T) {
	announce(t.Context(), nil, func() Health { t.Error("asked"); return Health{} })()
}
