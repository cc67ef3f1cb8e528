package tunnel

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/testkit"
	"sallyport/proto"
)

// realTimes asks for the heartbeats, rates and sleeps of real life, which take
// minutes, instead of those that show the same in seconds.
const realTimes = "SALLYPORT_REAL_TIMES"

// TestSlowLineIsNotTakenForADeadOne: on 64 kbit/s a body of 512 KiB keeps each
// direction of a tunnel busy for a minute. Pings wait behind it, and so would
// their answers; the tunnels must stay, and small requests pass.
func TestSlowLineIsNotTakenForADeadOne(t *testing.T) {
	t.Parallel()
	heartbeat, rate, size := 500*time.Millisecond, int64(32<<10), 160<<10
	if os.Getenv(realTimes) != "" {
		heartbeat, rate, size = 4*time.Second, 64_000/8, 512<<10
	}
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			t.Errorf("the application read %d bytes: %v", n, err)
		}
		switch r.URL.Path {
		case "/download":
			_, _ = w.Write(make([]byte, size))
		default:
			_, _ = fmt.Fprint(w, n)
		}
	})
	r := newRelay(t, false)
	r.heartbeat = heartbeat
	r.restart(func() {})
	s := r.enrolled()
	before := tunnelIDs(t, s)
	r.net.SetRate(rate)

	var bulk sync.WaitGroup
	for range 2 { // one for each tunnel
		bulk.Go(func() {
			resp, err := r.send(t.Context(), "POST", app.URL+"/upload", io.MultiReader(bytes.NewReader(make([]byte, size))))
			if got := read(t, resp, err); got != fmt.Sprint(size) {
				t.Errorf("uploaded %s of %d bytes", got, size)
			}
		})
		bulk.Go(func() {
			resp, err := r.send(t.Context(), "GET", app.URL+"/download", nil)
			if got := read(t, resp, err); len(got) != size {
				t.Errorf("downloaded %d of %d bytes", len(got), size)
			}
		})
	}
	done := make(chan struct{})
	go func() { bulk.Wait(); close(done) }()
	small := 0
	for busy := true; busy; small++ {
		resp, err := r.send(t.Context(), "POST", app.URL+"/small", strings.NewReader("small"))
		if got := read(t, resp, err); got != "5" {
			t.Errorf("a small request was answered %q", got)
		}
		select {
		case <-done:
			busy = false
		default:
		}
	}
	t.Logf("%d small requests meanwhile", small)
	if after := tunnelIDs(t, s); after != before {
		t.Errorf("the tunnels were %s and are %s", before, after)
	}
}

// tunnelIDs waits until the agent knows of two tunnels and names them.
func tunnelIDs(t *testing.T, s *site) (ids string) {
	t.Helper()
	testkit.Eventually(t, patience, "the agent has two tunnels", func() error {
		tunnels := s.link.Status().Tunnels
		if len(tunnels) != 2 {
			return fmt.Errorf("%+v", tunnels)
		}
		ids = tunnels[0].ID + " and " + tunnels[1].ID
		return nil
	})
	return ids
}

// TestManyBodiesShareASlowLine: each waits for its turn behind all the others,
// for longer than the kernel, the websocket or yamux usually allow for a write.
func TestManyBodiesShareASlowLine(t *testing.T) {
	if os.Getenv(realTimes) == "" {
		t.Skipf("takes minutes; set %s", realTimes)
	}
	t.Parallel()
	const bodies, size = 24, 80 << 10
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		_, _ = w.Write(make([]byte, n))
	})
	r := newRelay(t, false)
	r.heartbeat = 4 * time.Second
	r.restart(func() {})
	s := r.enrolled()
	before := tunnelIDs(t, s)
	r.net.SetRate(64_000 / 8)
	var all sync.WaitGroup
	for range bodies {
		all.Go(func() {
			resp, err := r.send(t.Context(), "POST", app.URL, io.MultiReader(bytes.NewReader(make([]byte, size))))
			if got := read(t, resp, err); len(got) != size {
				t.Errorf("%d bytes came back of %d", len(got), size)
			}
		})
	}
	all.Wait()
	if after := tunnelIDs(t, s); after != before {
		t.Errorf("the tunnels were %s and are %s", before, after)
	}
}

// read reads an answer to its end, in any goroutine.
func read(t *testing.T, resp *http.Response, err error) string {
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("read the answer: %v", err)
	}
	return string(raw)
}

// TestSilenceIsNoticedWhileBodiesAreUnderWay: full queues and writers that wait
// for room must not keep an end from noticing that nothing arrives any more.
func TestSilenceIsNoticedWhileBodiesAreUnderWay(t *testing.T) {
	t.Parallel()
	heartbeat := 500 * time.Millisecond
	if os.Getenv(realTimes) != "" {
		heartbeat = 4 * time.Second
	}
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = io.Copy(io.Discard, r.Body)
			return
		}
		for {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				return
			}
		}
	})
	r := newRelay(t, false)
	r.heartbeat = heartbeat
	r.restart(func() {})
	s := r.enrolled()
	flowing := make(chan struct{}, 4)
	var transfers sync.WaitGroup
	for range 2 {
		transfers.Go(func() {
			resp, err := r.send(context.Background(), "GET", app.URL, nil)
			if err == nil {
				_, _ = io.CopyN(io.Discard, resp.Body, 1<<20)
				flowing <- struct{}{}
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			if e := proto.AsError(err); e == nil || e.Code != proto.CodeTunnelLost || e.Outcome != proto.OutcomeSent {
				t.Errorf("the download ended with %v", err)
			}
		})
		transfers.Go(func() {
			_, err := r.send(context.Background(), "POST", app.URL, &endless{after: 1 << 20, flowing: flowing})
			if e := proto.AsError(err); e == nil || e.Code != proto.CodeTunnelLost || e.Outcome != proto.OutcomeUnknown {
				t.Errorf("the upload ended with %v", err)
			}
		})
	}
	for range 4 {
		<-flowing
	}
	r.net.Silence(true)
	began := time.Now()
	testkit.Eventually(t, time.Minute, "both ends notice", func() error {
		if st := s.link.Status(); len(st.Tunnels) > 0 {
			return fmt.Errorf("agent: %+v", st)
		}
		if in := r.hub.Instances("agt_1"); len(in) > 0 {
			return fmt.Errorf("relay: %+v", in)
		}
		return nil
	})
	took := time.Since(began)
	t.Logf("noticed after %s", took)
	if took > 10*time.Second {
		t.Errorf("noticed after %s", took)
	}
	transfers.Wait()
	r.net.Silence(false)
	r.net.Cut() // what hangs in a handshake
	r.awaitTunnels(2)
}

// endless is a body without an end, which tells when so much of it was read.
type endless struct {
	after   int
	flowing chan<- struct{}
}

func (e *endless) Read(p []byte) (int, error) {
	if e.after > 0 {
		if e.after -= len(p); e.after <= 0 {
			e.flowing <- struct{}{}
		}
	}
	return len(p), nil
}
