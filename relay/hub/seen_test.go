package hub_test

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
	"sallyport/proto"
	"sallyport/relay/hub"
)

// noting is a stand that soon tells the directory of the machine that has
// connected, with two tunnels.
func noting(t *testing.T) *stand {
	t.Helper()
	s := newStand(t, func(o *hub.Options) { o.NoteEvery = 20 * time.Millisecond })
	for slot := range 2 {
		hello := s.hello()
		hello.Slot = slot
		if err := s.shake(t, s.dial(t), hello); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestDirectoryIsToldNowAndThenWhoIsConnected(t *testing.T) {
	s := noting(t)
	testkit.Eventually(t, 5*time.Second, "the instance is noted, once for both of its tunnels", func() error {
		s.roll.mu.Lock()
		defer s.roll.mu.Unlock()
		if !slices.Contains(s.roll.noted, "wsp_1/ins_1") || s.roll.lastSeen.IsZero() {
			return fmt.Errorf("noted %q", s.roll.noted)
		}
		return nil
	})
}

// TestMachineWhoseEnrolmentHasEndedIsShownOut: the relay at which it was removed
// may not have reached this one.
func TestMachineWhoseEnrolmentHasEndedIsShownOut(t *testing.T) {
	s := noting(t)
	testkit.Eventually(t, patience, "it is noted", func() error {
		s.roll.mu.Lock()
		defer s.roll.mu.Unlock()
		if len(s.roll.noted) < 2 {
			return fmt.Errorf("noted %q", s.roll.noted)
		}
		return nil
	})
	if n := len(s.hub.Instances("agt_1")); n != 1 {
		t.Errorf("while it is enrolled: %d machines", n)
	}
	s.roll.mu.Lock()
	s.roll.revoked = true
	s.roll.mu.Unlock()
	testkit.Eventually(t, patience, "its tunnels are ended", func() error {
		if n := len(s.hub.Instances("agt_1")); n > 0 {
			return fmt.Errorf("%d machines", n)
		}
		return nil
	})
	testkit.Eventually(t, patience, "that is on record", func() error {
		s.roll.mu.Lock()
		defer s.roll.mu.Unlock()
		if !slices.Contains(s.roll.presence, "ins_1 left: its enrolment was removed") {
			return fmt.Errorf("%q", s.roll.presence)
		}
		return nil
	})
}

// TestPresenceIsWrittenOnceTheDirectoryTakesItAgain: an agent whose coming was
// not taken would be offline for all others until it goes.
func TestPresenceIsWrittenOnceTheDirectoryTakesItAgain(t *testing.T) {
	s := newStand(t, func(o *hub.Options) { o.NoteEvery = 20 * time.Millisecond })
	fill := func(full bool) {
		s.roll.mu.Lock()
		defer s.roll.mu.Unlock()
		s.roll.full, s.roll.refused = full, 0
	}
	await := func(what string, done func() bool) {
		t.Helper()
		testkit.Eventually(t, patience, what, func() error {
			s.roll.mu.Lock()
			defer s.roll.mu.Unlock()
			if !done() {
				return fmt.Errorf("%q, %d refused", s.roll.presence, s.roll.refused)
			}
			return nil
		})
	}
	fill(true)
	ws := s.dial(t)
	if err := s.shake(t, ws, s.hello()); err != nil {
		t.Fatal(err)
	}
	await("its coming is refused twice", func() bool { return s.roll.refused > 1 })
	fill(false)
	await("its coming is written", func() bool { return slices.Equal(s.roll.presence, []string{"ins_1 came"}) })
	fill(true)
	_ = ws.Close()
	await("its going is refused twice", func() bool { return s.roll.refused > 1 })
	fill(false)
	await("its going is written, and why", func() bool {
		return len(s.roll.presence) == 2 && strings.HasPrefix(s.roll.presence[1], "ins_1 left: the connection broke")
	})
}

// TestAbsentAgentIsNamedByTheDirectory: a relay that has just started has seen
// nobody itself.
func TestAbsentAgentIsNamedByTheDirectory(t *testing.T) {
	s := newStand(t, nil)
	s.roll.lastSeen = time.Date(2026, 3, 1, 9, 12, 0, 0, time.UTC)
	for range 20 {
		_, err := s.hub.Road("agt_1").RoundTrip(httptest.NewRequest("GET", "http://erp/", nil))
		e := proto.AsError(err)
		if e == nil || e.Code != proto.CodeAgentOffline || e.Outcome != proto.OutcomeNotSent ||
			!strings.Contains(e.Detail, `"Plant 2" is offline; it was last seen at 2026-03-01T09:12:00Z`) || e.Facts["agent"] != "Plant 2" {
			t.Fatalf("got %v", err)
		}
	}
	if s.roll.asked > 10 { // it would be 1, but for a machine that stalls for seconds
		t.Errorf("the directory was asked %d times", s.roll.asked)
	}
	_, err := s.hub.Road("agt_9").RoundTrip(httptest.NewRequest("GET", "http://erp/", nil))
	if e := proto.AsError(err); e == nil || e.Code != proto.CodeAgentOffline || e.Facts["agent"] != "" {
		t.Errorf("an unknown agent: %v", err)
	}
}
