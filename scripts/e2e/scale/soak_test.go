//go:build unix

package scale

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/apiclient"
	"sallyport/internal/testkit"
)

// soakTime is how long the soak lasts: 4 s, or what SALLYPORT_SOAK says. Then it
// is gentle, too, so that it can go on for hours beside other things.
func soakTime(t *testing.T) (d time.Duration, gentle bool) {
	text := os.Getenv("SALLYPORT_SOAK")
	if text == "" {
		return 4 * time.Second, false
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("SALLYPORT_SOAK: %v", err)
	}
	return d, true
}

// held is what relay and agents hold: goroutines, open files, memory.
type held struct {
	relayGoroutines, relayFiles   int
	agentsGoroutines, agentsFiles int
	relayBytes, agentsBytes       int64 // resident; of the heap, after a collection
	relayHeap                     int64 // with what is not collected yet
}

func (h held) String() string {
	return fmt.Sprintf("relay: %d goroutines, %d files, %.1f MiB resident, heap %.1f MiB; agents: %d goroutines, %d files, heap %.1f MiB",
		h.relayGoroutines, h.relayFiles, float64(h.relayBytes)/(1<<20), float64(h.relayHeap)/(1<<20), h.agentsGoroutines, h.agentsFiles, float64(h.agentsBytes)/(1<<20))
}

func (s *stage) held() held {
	s.t.Helper()
	m, r := s.metrics(), s.reportCollected()
	return held{
		relayGoroutines: int(m["go_goroutines"]), relayFiles: int(m["process_open_fds"]), relayBytes: s.resident(s.relay),
		relayHeap:        int64(m["go_memstats_heap_alloc_bytes"]),
		agentsGoroutines: r.Goroutines, agentsFiles: r.Files, agentsBytes: int64(r.HeapBytes),
	}
}

// TestNothingGrowsInASoak: requests that are answered and that are given up,
// events, slow readers, bodies of a few megabytes and cut networks, and
// afterwards both ends hold what they held before. What is kept for a while, such
// as connections to applications, was there before too: the same was done for a
// moment.
func TestNothingGrowsInASoak(t *testing.T) {
	s := newStage(t, 20)
	between, err := testkit.NewForwarder("127.0.0.1:0", s.api.Base[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(between.Close)
	s.startSites("--relay", "http://"+between.Addr())
	s.awaitWhole("online", time.Minute)
	door := s.proxy()
	s.small(door, 1) // signs in

	const warm, parts = 1500 * time.Millisecond, 10
	d, gentle := soakTime(t)
	s.soak(door, between, warm, false)
	s.awaitWhole("online after the first moment", time.Minute)
	before := s.held()
	done := &tally{}
	if !gentle {
		done = s.soak(door, between, d, false)
	} else {
		for n := range parts {
			done.add(s.soak(door, between, d/parts, true))
			t.Logf("after %s: %s; %s", time.Duration(n+1)*d/parts, s.held(), done)
		}
	}
	s.awaitWhole("online afterwards", time.Minute)
	t.Logf("in %s: %s", d, done)

	var after held
	testkit.Eventually(t, 3*time.Minute, "both ends hold what they held before", func() error {
		time.Sleep(500 * time.Millisecond)
		s.api.HTTP.CloseIdleConnections()
		after = s.held()
		const slack = 40 // connections that are kept, at this moment or at that
		switch {
		case after.relayGoroutines > before.relayGoroutines+slack, after.relayFiles > before.relayFiles+slack,
			after.agentsGoroutines > before.agentsGoroutines+slack, after.agentsFiles > before.agentsFiles+slack:
			return fmt.Errorf("before %s, after %s", before, after)
		case after.agentsBytes > 2*before.agentsBytes+8<<20, after.relayBytes > 2*before.relayBytes+32<<20:
			return fmt.Errorf("before %s, after %s", before, after)
		}
		return nil
	})
	t.Logf("before %s", before)
	t.Logf("after  %s", after)
}

// tally counts what was done in a soak.
type tally struct{ small, uploads, cancelled, aborted, slow, events, cuts, failed atomic.Int64 }

func (c *tally) String() string {
	return fmt.Sprintf("%d small requests, %d uploads, %d requests and %d downloads given up, %d slow readers, %d streams of events, %d cuts of all tunnels; %d requests failed with them",
		c.small.Load(), c.uploads.Load(), c.cancelled.Load(), c.aborted.Load(), c.slow.Load(), c.events.Load(), c.cuts.Load(), c.failed.Load())
}

func (c *tally) add(o *tally) {
	c.small.Add(o.small.Load())
	c.uploads.Add(o.uploads.Load())
	c.cancelled.Add(o.cancelled.Load())
	c.aborted.Add(o.aborted.Load())
	c.slow.Add(o.slow.Load())
	c.events.Add(o.events.Load())
	c.cuts.Add(o.cuts.Load())
	c.failed.Add(o.failed.Load())
}

// soak makes life hard for d; gently, with a pause after each request.
func (s *stage) soak(door string, between *testkit.Forwarder, d time.Duration, gently bool) *tally {
	t := s.t
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	done, pause, cutEvery := &tally{}, time.Duration(0), 2*time.Second
	if gently {
		pause, cutEvery = 200*time.Millisecond, 20*time.Second
	}
	var working sync.WaitGroup
	loop := func(workers int, count *atomic.Int64, do func(context.Context) error) {
		for range workers {
			working.Go(func() {
				for ctx.Err() == nil {
					count.Add(1)
					if err := do(context.WithoutCancel(ctx)); err != nil {
						done.failed.Add(1)
						// Cut, or no tunnel at this moment: that is what the cuts are for.
						if p := (*apiclient.Problem)(nil); !errors.As(err, &p) || p.Code == "internal" {
							t.Errorf("%v", err)
							return
						}
					}
					select {
					case <-ctx.Done():
					case <-time.After(pause):
					}
				}
			})
		}
	}
	loop(4, &done.small, func(ctx context.Context) error {
		return s.api.Do(ctx, "GET", door+"/me", nil, nil)
	})
	loop(1, &done.uploads, func(ctx context.Context) error {
		return s.api.Do(ctx, "POST", door+"/take", object{"text": strings.Repeat("x", 300<<10)}, nil)
	})
	loop(1, &done.uploads, func(ctx context.Context) error { return s.uploadUntold(ctx, door, 4<<20) })
	loop(2, &done.cancelled, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(50))*time.Millisecond)
		defer cancel()
		if err := s.api.Do(ctx, "GET", door+"/never", nil, nil); ctx.Err() == nil {
			return err
		}
		return nil
	})
	loop(2, &done.aborted, func(ctx context.Context) error { return s.download(ctx, door+"/endless", rand.IntN(4<<20), 0) })
	loop(2, &done.slow, func(ctx context.Context) error {
		return s.download(ctx, door+"/endless", 256<<10, 2*time.Millisecond)
	})
	loop(2, &done.events, func(ctx context.Context) error { return s.download(ctx, door+"/events", 200, 0) })
	working.Go(func() {
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(cutEvery):
				between.Cut()
				done.cuts.Add(1)
			}
		}
	})
	working.Wait()
	return done
}

// uploadUntold sends a body of n bytes whose length is not told.
func (s *stage) uploadUntold(ctx context.Context, door string, n int64) error {
	r, err := s.api.Request(ctx, "POST", door+"/take", nil)
	if err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(io.LimitReader(zeros{}, n)), -1
	resp, err := s.api.HTTP.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return &apiclient.Problem{Status: resp.StatusCode, Code: resp.Header.Get("Sallyport-Error")}
	}
	return nil
}

// zeros are without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// download reads n bytes of an endless answer, a few at a time and with a pause
// after each, and gives it up. That the tunnel is cut meanwhile is no error.
func (s *stage) download(ctx context.Context, url string, n int, pause time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := s.api.Request(ctx, "GET", url, nil)
	if err != nil {
		return err
	}
	resp, err := s.api.HTTP.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &apiclient.Problem{Status: resp.StatusCode, Code: resp.Header.Get("Sallyport-Error")}
	}
	block := make([]byte, min(8<<10, n+1))
	for read := 0; read < n; read += len(block) {
		if _, err := io.ReadFull(resp.Body, block); err != nil {
			var network net.Error
			if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.As(err, &network) {
				return nil
			}
			return err
		}
		if pause > 0 {
			time.Sleep(pause) // a slow reader is slow
		}
	}
	return nil
}
