package event

import (
	"sync"
	"testing"
)

func TestEventsStayWithinTheirWorkspace(t *testing.T) {
	var bus Bus
	a, b := bus.Subscribe("a"), bus.Subscribe("b")
	defer a.Close()
	defer b.Close()
	want := Event{WorkspaceID: "a", Type: AgentChanged, ID: "agt_1"}
	bus.Publish(want)
	if got := <-a.C; got != want {
		t.Errorf("got %+v", got)
	}
	select {
	case got := <-b.C:
		t.Errorf("workspace b received %+v", got)
	default:
	}
}

func TestASlowSubscriberMissesEventsAndLearnsOfIt(t *testing.T) {
	var bus Bus
	s := bus.Subscribe("a")
	defer s.Close()
	for range queue {
		bus.Publish(Event{WorkspaceID: "a"})
	}
	select {
	case <-s.Missed():
		t.Fatal("missed before the queue was over")
	default:
	}
	for range 3 {
		bus.Publish(Event{WorkspaceID: "a"}) // never blocks, and never closes twice
	}
	<-s.Missed()
	if len(s.C) != queue {
		t.Errorf("%d events wait", len(s.C))
	}
}

func TestAClosedSubscriptionReceivesNothing(t *testing.T) {
	var bus Bus
	s := bus.Subscribe("a")
	s.Close()
	s.Close()
	bus.Publish(Event{WorkspaceID: "a"})
	if len(s.C) != 0 {
		t.Error("an event was delivered")
	}
}

func TestSubscribersComeAndGoWhileEventsFlow(t *testing.T) {
	var bus Bus
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				s := bus.Subscribe("a")
				bus.Publish(Event{WorkspaceID: "a"})
				<-s.C
				s.Close()
			}
		})
	}
	wg.Wait()
	if len(bus.subs) != 0 {
		t.Errorf("%d subscriptions are left", len(bus.subs))
	}
}
