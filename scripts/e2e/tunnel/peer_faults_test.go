package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/outbound"
	"sallyport/internal/testkit"
	"sallyport/proto"
	"sallyport/relay/hub"
	"sallyport/relay/peer"
)

// TestBrokenConnectionBetweenRelaysTellsTheTruth: while a request is under way,
// and while its answer is.
func TestBrokenConnectionBetweenRelaysTellsTheTruth(t *testing.T) {
	for name, fault := range map[string]func(*testkit.Forwarder){
		"cut":    func(f *testkit.Forwarder) { f.Cut() },
		"silent": func(f *testkit.Forwarder) { f.Silence(true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of the time it waits
			var mu sync.Mutex
			seen := map[string]int{}
			reached, finish := make(chan struct{}, 8), make(chan struct{})
			app := target(t, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				seen[r.Method+r.URL.Path]++
				times := seen[r.Method+r.URL.Path]
				mu.Unlock()
				if r.URL.Path == "/body" {
					_, _ = io.WriteString(w, "half")
					_ = http.NewResponseController(w).Flush()
				}
				if r.Method == "GET" && times > 1 {
					return // the second time it is quick
				}
				if r.URL.Path != "/body" { // else the header's arrival counts
					reached <- struct{}{}
				}
				select {
				case <-finish:
				case <-r.Context().Done():
				}
			})
			defer close(finish)
			_, b, path := newPairThrough(t)
			type result struct {
				what string
				err  error
			}
			results := make(chan result, 3)
			for _, what := range []string{"POST /", "GET /", "POST /body"} {
				method, at, _ := strings.Cut(what, " ")
				go func() {
					resp, err := b.send(t.Context(), method, app.URL+at, nil)
					if err == nil && at == "/body" {
						reached <- struct{}{}
					}
					if err == nil {
						_, err = io.ReadAll(resp.Body)
						_ = resp.Body.Close()
					}
					results <- result{what, err}
				}()
			}
			for range 3 {
				<-reached
			}
			began := time.Now()
			fault(path)
			if name == "silent" {
				b.awaitAlone()
				path.Silence(false)
			}
			for range 3 {
				switch r := <-results; r.what {
				case "POST /":
					e := wantError(t, r.err, proto.CodeTunnelLost, proto.OutcomeUnknown)
					if !strings.Contains(e.Detail, "rly_a") || e.Hint == "" {
						t.Errorf("%s %s", e.Detail, e.Hint)
					}
				case "POST /body":
					wantError(t, r.err, proto.CodeTunnelLost, proto.OutcomeSent)
				default:
					if r.err != nil {
						t.Errorf("%s: %v", r.what, r.err)
					}
				}
			}
			t.Logf("all was over after %s", time.Since(began).Round(time.Millisecond))
			mu.Lock()
			defer mu.Unlock()
			if seen["POST/"] != 1 || seen["POST/body"] != 1 || seen["GET/"] != 2 {
				t.Errorf("the application saw %v", seen)
			}
		})
	}
}

func TestRelayThatCanNotBeReachedIsNamed(t *testing.T) {
	_, b, path := newPairThrough(t)
	path.Refuse(true)
	path.Cut()
	b.awaitAlone()
	req := mustRequest(t, "POST", "http://erp.test/", strings.NewReader("x"))
	req.Header.Set(proto.HeaderWait, "300")
	_, err := b.hub.Road("agt_1").RoundTrip(req)
	e := wantError(t, err, proto.CodeAgentOffline, proto.OutcomeNotSent)
	if e.Reason != hub.ReasonRelayUnreachable || e.Facts["relay"] != "rly_a" || e.Facts["address"] != path.Addr() ||
		!strings.Contains(e.Detail, `"Plant 2" is connected to another relay, rly_a, which can't be reached at `+path.Addr()) || !strings.Contains(e.Detail, "held for") {
		t.Errorf("%s %v: %s", e.Reason, e.Facts, e.Detail)
	}
	t.Log(e.Detail, e.Hint)
}

func TestRelayWithoutAPortForOthersIsNamed(t *testing.T) {
	a, b := newPair(t)
	a.dir.enrol("agt_1", "ins_1")
	known := a.peering.roll
	known.mu.Lock()
	known.claimed["rly_old"] = []peer.Holding{{Relay: peer.Relay{ID: "rly_old", Epoch: 1}, AgentID: "agt_1", Counter: 1, Instance: hub.Instance{ID: "ins_1"}}}
	known.mu.Unlock()
	req := mustRequest(t, "POST", "http://erp.test/", strings.NewReader("x"))
	req.Header.Set(proto.HeaderWait, "300")
	_, err := b.hub.Road("agt_1").RoundTrip(req)
	e := wantError(t, err, proto.CodeAgentOffline, proto.OutcomeNotSent)
	if e.Reason != hub.ReasonRelayUnreachable || !strings.Contains(e.Detail, "another relay, rly_old, which takes no requests of other relays.") || !strings.Contains(e.Hint, "peer-listen") {
		t.Errorf("%s: %s %s", e.Reason, e.Detail, e.Hint)
	}
}

// TestWhoStopsToReadKeepsNobodyWaiting: more is stalled, both ways, than the
// connection's windows would hold by default.
func TestWhoStopsToReadKeepsNobodyWaiting(t *testing.T) {
	const stalled = 24
	over := make(chan struct{})
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/down":
			_, _ = io.CopyN(w, zeros{}, 8<<20)
		case "/up": // reads nothing
			<-over
		default:
			_ = http.NewResponseController(w).EnableFullDuplex()
			_, _ = io.Copy(w, r.Body)
		}
	})
	a, b := newPair(t)
	a.enrolled()
	a.awaitMet(b)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	defer close(over)
	defer cancel()
	var uploaded atomic.Int64
	for range stalled {
		resp, err := b.send(ctx, "GET", app.URL+"/down", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close() // unread until then
		all.Go(func() {
			_, _ = b.send(ctx, "POST", app.URL+"/up", io.TeeReader(io.LimitReader(zeros{}, 64<<20), tally{&uploaded}))
		})
	}
	var last int64 = -1
	testkit.Eventually(t, patience, "the uploads are stalled", func() error {
		now := uploaded.Load()
		before := last
		last = now
		if now == 0 || now != before {
			return fmt.Errorf("%d bytes were taken", now)
		}
		return nil
	})
	body := strings.Repeat("x", 4<<20)
	prompt, end := context.WithTimeout(t.Context(), patience)
	defer end()
	resp, err := b.send(prompt, "POST", app.URL+"/echo", io.MultiReader(strings.NewReader(body)))
	if got := mustRead(t, resp, err); got != body {
		t.Errorf("%d bytes came back", len(got))
	}
}

type tally struct{ n *atomic.Int64 }

func (c tally) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// TestCallerWhoDoesNotReadHintsStallsNobody: informational answers of one request
// are passed on beside the connection that all share.
func TestCallerWhoDoesNotReadHintsStallsNobody(t *testing.T) {
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hints" {
			for range 40 {
				w.Header().Set("Link", "</style.css>; rel=preload")
				w.WriteHeader(http.StatusEarlyHints)
			}
		}
		_, _ = io.WriteString(w, "here")
	})
	a, b := newPair(t)
	a.enrolled()
	a.awaitMet(b)
	free := make(chan struct{})
	told := &stubborn{wait: free}
	answered := make(chan string, 1)
	go func() {
		ctx := context.WithValue(t.Context(), outbound.InformKey{}, outbound.Informer(told))
		resp, err := b.send(ctx, "GET", app.URL+"/hints", nil)
		answered <- whole(resp, err)
	}()
	testkit.Eventually(t, patience, "the first hint has come", func() error {
		if told.n.Load() == 0 {
			return errors.New("it has not")
		}
		return nil
	})
	resp, err := b.send(t.Context(), "GET", app.URL, nil)
	if got := mustRead(t, resp, err); got != "here" {
		t.Errorf("another: %q", got)
	}
	close(free)
	if got := <-answered; got != "here" || told.n.Load() < 2 {
		t.Errorf("%q after %d hints", got, told.n.Load())
	}
}

// stubborn is told of informational answers, and takes its time.
type stubborn struct {
	n    atomic.Int32
	wait chan struct{}
}

func (s *stubborn) Inform(int, http.Header) {
	s.n.Add(1)
	<-s.wait
}
