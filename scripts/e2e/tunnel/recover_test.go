package tunnel

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"sallyport/agent/link"
	"sallyport/internal/testkit"
)

// quiet has a relay and an agent whose many tunnels nobody wants to read of.
func quiet(t *testing.T, change func(*link.Options)) (*relay, *site) {
	t.Helper()
	r := newRelay(t, false)
	r.log = zap.NewNop()
	r.restart(func() {})
	s := r.agent(r.dir.enrol("agt_1", "ins_1"), forwarding(t), func(o *link.Options) {
		o.Log = zap.NewNop()
		change(o)
	})
	return r, s
}

// TestLinkComesBackFromACutAtEveryByte cuts the connection of each attempt at
// byte N, for all that an attempt sends and receives and a little beyond. By
// default every seventh N, beginning anywhere; all of them with a count for
// the injector of 20 000 or more.
func TestLinkComesBackFromACutAtEveryByte(t *testing.T) {
	t.Parallel()
	step, first := 7, rand.IntN(7)
	if number(t, injectCount, 0) >= 20_000 {
		step, first = 1, 0
	}
	app := target(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "here") })
	const beyond = 1100 // upgrade, hello and proof take some 900 bytes, the answers 600
	for _, up := range []bool{true, false} {
		r, _ := quiet(t, func(o *link.Options) {
			o.Tunnels, o.RetryFirst, o.RetryLimit = 1, time.Millisecond, 4*time.Millisecond
		})
		r.awaitTunnels(1)
		for n := first; n < beyond; n += step {
			cut := testkit.Cut{Up: up, After: int64(n), Reset: n%2 == 0}
			dials := r.net.Accepted()
			r.net.CutNext(cut)
			r.net.Cut()
			testkit.Eventually(t, patience, "another attempt", func() error {
				if r.net.Accepted() == dials {
					return fmt.Errorf("none after a cut at byte %d, up %v", n, up)
				}
				return nil
			})
			r.net.CutNext()
			// The attempt that is to be cut may have got through where the cut
			// lies beyond it.
			testkit.Eventually(t, patience, fmt.Sprintf("a request after a cut at byte %d, up %v", n, up), func() error {
				resp, err := r.send(t.Context(), "GET", app.URL, nil)
				if err != nil {
					return err
				}
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				return err
			})
		}
		awaitIdle(t, r)
		if dials, most := r.net.Accepted(), 20*beyond/step; dials > most {
			t.Errorf("%d dials for %d cuts", dials, beyond/step)
		}
	}
}

// TestLinkGetsThroughWhereConnectsAreRefused: one in twenty, and every second.
func TestLinkGetsThroughWhereConnectsAreRefused(t *testing.T) {
	t.Parallel()
	for _, share := range []float64{0.05, 0.5} {
		r, _ := quiet(t, func(o *link.Options) { o.RetryFirst, o.RetryLimit = 2*time.Millisecond, 20*time.Millisecond })
		r.awaitTunnels(2)
		r.net.RefuseShare(share, rand.New(rand.NewPCG(3, 4)))
		const cuts = 25
		for range cuts {
			dials := r.net.Accepted()
			r.net.Cut()
			testkit.Eventually(t, patience, "both tunnels are dialled", func() error {
				if now := r.net.Accepted(); now < dials+2 {
					return fmt.Errorf("%d connects, %d before the cut", now, dials)
				}
				return nil
			})
			r.awaitTunnels(2)
		}
		if dials := r.net.Accepted(); dials > 10*2*cuts {
			t.Errorf("%d dials for %d tunnels that were cut", dials, 2*cuts)
		}
	}
}

// TestNothingIsDialledInATightLoop: however the relay fails, the waits grow,
// also where each attempt succeeds and breaks at once.
func TestNothingIsDialledInATightLoop(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		fail func(r *relay)
	}{
		{"refused", func(r *relay) { r.net.Refuse(true) }},
		{"cut within the handshake", func(r *relay) { r.net.CutNext(testkit.Cut{Up: true, After: 500}) }},
		{"cut as soon as it is up", func(r *relay) { r.net.CutNext(testkit.Cut{Up: true, After: 1000}, testkit.Cut{After: 900}) }},
		{"draining", func(r *relay) { r.hub.Leave() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, _ := quiet(t, func(o *link.Options) { o.Tunnels, o.RetryFirst, o.RetryLimit = 1, 100*time.Millisecond, 2*time.Second })
			r.awaitTunnels(1)
			c.fail(r)
			dials := r.net.Accepted()
			r.net.Cut()
			// Requests make a tunnel carry bytes, so that it is cut.
			app := target(t, func(http.ResponseWriter, *http.Request) {})
			for began := time.Now(); time.Since(began) < 2*time.Second; {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				if resp, err := r.send(ctx, "GET", app.URL, nil); err == nil {
					_ = resp.Body.Close()
				}
				<-ctx.Done()
				cancel()
			}
			// The mean waits are 50, 100, 200, 400, 800 ms; a loop makes thousands.
			if n := r.net.Accepted() - dials; n < 1 || n > 30 {
				t.Errorf("%d dials in two seconds", n)
			}
		})
	}
}

// TestSlotIsDialledAgainThoughARequestLingers: what is left of the old tunnel
// may take its time.
func TestSlotIsDialledAgainThoughARequestLingers(t *testing.T) {
	t.Parallel()
	lingering, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r := newRelay(t, false)
	r.agent(r.dir.enrol("agt_1", "ins_1"), func(ctx context.Context, stream net.Conn) {
		once.Do(func() { close(lingering) })
		<-release
	}, func(o *link.Options) { o.Tunnels = 1 })
	r.awaitTunnels(1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var sending sync.WaitGroup
	sending.Go(func() {
		if _, err := r.send(ctx, "POST", "http://erp.internal/", strings.NewReader("x")); err == nil {
			t.Error("an answer from nowhere")
		}
	})
	<-lingering
	dials := r.net.Accepted()
	r.net.Cut()
	testkit.Eventually(t, patience, "the tunnel is dialled again", func() error {
		if r.net.Accepted() == dials {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	r.awaitTunnels(1)
	close(release)
	cancel()
	sending.Wait()
}

// TestClockThatIsSetChangesNothing: clocks jump by hours and days, both ways
// and at both ends. Tunnels that are alive stay, and those that are dead are
// noticed.
func TestClockThatIsSetChangesNothing(t *testing.T) {
	t.Parallel()
	var offset atomic.Int64
	clock := func() time.Time { return time.Now().Round(0).Add(time.Duration(offset.Load())) }
	app := target(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "here") })
	r := newRelay(t, false)
	r.heartbeat, r.clock = 300*time.Millisecond, clock
	r.restart(func() {})
	s := r.agent(r.dir.enrol("agt_1", "ins_1"), forwarding(t), func(o *link.Options) { o.Clock = clock })
	before := tunnelIDs(t, s)
	for _, jump := range []time.Duration{time.Hour, -time.Hour, -24 * time.Hour, 24 * time.Hour} {
		offset.Store(int64(jump))
		for began := time.Now(); time.Since(began) < 2*time.Second; { // longer than a silent tunnel lives
			resp, err := r.send(t.Context(), "POST", app.URL, strings.NewReader("x"))
			if got := mustRead(t, resp, err); got != "here" {
				t.Fatal(got)
			}
			time.Sleep(20 * time.Millisecond)
		}
		if after := tunnelIDs(t, s); after != before {
			t.Fatalf("%s: the tunnels were %s and are %s", jump, before, after)
		}
		if seen := r.hub.Instances("agt_1")[0].LastSeenAt; clock().Sub(seen).Abs() > 5*time.Second {
			t.Errorf("%s: last seen at %s, at %s", jump, seen, clock())
		}
	}
	r.net.Silence(true)
	offset.Store(int64(-48 * time.Hour))
	testkit.Eventually(t, patience, "the silence is noticed", func() error {
		if n := len(s.link.Status().Tunnels) + len(r.hub.Instances("agt_1")); n > 0 {
			return fmt.Errorf("not everywhere")
		}
		return nil
	})
	r.net.Silence(false)
	r.net.Cut()
	tunnelIDs(t, s)
}
