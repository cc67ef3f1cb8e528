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

func TestDirectoryIsToldNowAndThenWhoIsConnected(t *testing.T) {
	s := newStand(t, func(o *hub.Options) { o.NoteEvery = 20 * time.Millisecond })
	for slot := range 2 {
		hello := s.hello()
		hello.Slot = slot
		if err := s.shake(t, s.dial(t), hello); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, 5*time.Second, "the instance is noted, once for both of its tunnels", func() error {
		s.roll.mu.Lock()
		defer s.roll.mu.Unlock()
		if !slices.Contains(s.roll.noted, "wsp_1/ins_1") || s.roll.lastSeen.IsZero() {
			return fmt.Errorf("noted %q", s.roll.noted)
		}
		return nil
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
