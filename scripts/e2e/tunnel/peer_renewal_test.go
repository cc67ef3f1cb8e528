package tunnel

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/testkit"
	"sallyport/relay/event"
)

// newAgingPair is newPairThrough, of relays whose clocks are so many hours ahead.
func newAgingPair(t *testing.T) (a, b *relay, path *testkit.Forwarder, ahead *atomic.Int64) {
	t.Helper()
	ahead = &atomic.Int64{}
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load()) * time.Hour) }
	a, b = newPair(t, func(a, b *relay) {
		if a != nil {
			a.peering.between, a.peering.clock = through(t, &path), clock
			return
		}
		b.peering.clock = clock
	})
	a.enrolled()
	a.awaitMet(b)
	return a, b, path, ahead
}

// awaitConnections waits until the forwarder has taken so many connections in all,
// of which some are open.
func awaitConnections(t *testing.T, path *testkit.Forwarder, accepted, open int, what string) {
	t.Helper()
	testkit.Eventually(t, patience, what, func() error {
		if gotAccepted, gotOpen := path.Accepted(), path.Open(); gotAccepted != accepted || gotOpen != open {
			return fmt.Errorf("%d connections were made, %d are open", gotAccepted, gotOpen)
		}
		return nil
	})
}

// TestConnectionIsMadeAnewBeforeItsCertificatesEnd: under a load of POSTs, and
// with one under way that outlasts the certificates by which it was sent.
func TestConnectionIsMadeAnewBeforeItsCertificatesEnd(t *testing.T) {
	reached, finish := make(chan struct{}), make(chan struct{})
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		close(reached)
		<-finish
		_, _ = io.WriteString(w, "here")
	})
	load := newPosts(t)
	a, b, path, ahead := newAgingPair(t)
	load.begin(b, func(text string) io.Reader { return io.MultiReader(strings.NewReader(text)) }) // each can be had only once
	slow := make(chan string, 1)
	go func() {
		resp, err := b.send(t.Context(), "POST", app.URL, nil)
		slow <- whole(resp, err)
	}()
	<-reached
	ahead.Store(5) // hours: every certificate is good for 12 at least, and for 6 longer
	load.awaitMore("POSTs are answered by the first connection")
	awaitConnections(t, path, 1, 1, "it is left as it is")
	watch := b.events.Subscribe("wsp_1")
	defer watch.Close()
	for i, hours := range []int64{20, 40, 60} {
		ahead.Store(hours)
		awaitConnections(t, path, 2+i, 2, "the next connection is in use, and the one that is needed goes on")
		load.awaitMore("POSTs are answered by the next connection")
	}
	if n := b.figure("sallyport_peers_connected"); n != 1 {
		t.Errorf("%v relays are connected", n)
	}
	if n := b.figure("sallyport_peer_requests_in_flight"); n < 1 {
		t.Errorf("%v requests are under way", n)
	}
	// What the other relay says on both connections is heard once.
	const changes = 20
	for i := range changes {
		a.events.Publish(event.Event{WorkspaceID: "wsp_1", Type: event.ConnectionChanged, ID: fmt.Sprintf("con_%d", i)})
	}
	for i := range changes {
		if e := nextChange(t, watch); e.ID != fmt.Sprintf("con_%d", i) {
			t.Errorf("heard of %s, want con_%d", e.ID, i)
		}
	}
	close(finish)
	if got := <-slow; got != "here" {
		t.Errorf("what was under way all the time: %q", got)
	}
	awaitConnections(t, path, 4, 1, "the connection that is not needed any more is closed")
	load.end()
}

// nextChange is the next event that something has changed.
func nextChange(t *testing.T, watch *event.Subscription) event.Event {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e := <-watch.C:
			if e.Type == event.ConnectionChanged {
				return e
			}
		case <-timeout:
			t.Fatal("nothing is heard")
		}
	}
}

// TestConnectionThatCanNotBeMadeAnewServesOn until another one can be made.
func TestConnectionThatCanNotBeMadeAnewServesOn(t *testing.T) {
	load := newPosts(t)
	a, b, path, ahead := newAgingPair(t)
	said, _ := a.logging("ins_2", true)
	following := b.peering.peers.FollowLogs("agt_1", "ins_2", "warn")
	defer following.Close()
	until(t, following, said, "ins_2", "by the first connection")
	path.Refuse(true)
	ahead.Store(20)
	testkit.Eventually(t, patience, "it is tried", func() error {
		if path.Accepted() < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	load.begin(b, func(text string) io.Reader { return strings.NewReader(text) })
	load.awaitMore("POSTs are answered by the old connection")
	path.Refuse(false)
	tried := path.Accepted()
	testkit.Eventually(t, patience, "the next is made, and the old one closed", func() error {
		if path.Accepted() == tried || path.Open() != 1 {
			return fmt.Errorf("%d connections were made, %d are open", path.Accepted()-tried, path.Open())
		}
		return nil
	})
	load.awaitMore("POSTs are answered by the next connection")
	load.end()
	until(t, following, said, "ins_2", "by the next connection")
}
