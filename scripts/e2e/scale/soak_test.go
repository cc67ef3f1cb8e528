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

// soakTime is how long the soak lasts: 6 s, or what SALLYPORT_SOAK says.
func soakTime(t *testing.T) time.Duration {
	text := os.Getenv("SALLYPORT_SOAK")
	if text == "" {
		return 6 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("SALLYPORT_SOAK: %v", err)
	}
	return d
}

// held is what relay and agents hold: goroutines, open files, memory.
type held struct {
	relayGoroutines, relayFiles   int
	agentsGoroutines, agentsFiles int
	relayBytes, agentsBytes       int64
}

func (s *stage) held() held {
	s.t.Helper()
	m, r := s.metrics(), s.reportCollected()
	return held{
		relayGoroutines: int(m["go_goroutines"]), relayFiles: int(m["process_open_fds"]), relayBytes: s.resident(s.relay),
		agentsGoroutines: r.Goroutines, agentsFiles: r.Files, agentsBytes: int64(r.HeapBytes),
	}
}

// TestNothingGrowsInASoak: requests, downloads that are given up, slow readers,
// uploads and cut networks, and afterwards both ends hold what they held
// before. What is kept for a while, such as connections to applications, was
// there before too: the same was done for a moment.
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

	s.soak(door, between, 3*time.Second)
	s.awaitWhole("online after the first moment", time.Minute)
	before := s.held()
	d := soakTime(t)
	did := s.soak(door, between, d)
	s.awaitWhole("online afterwards", time.Minute)
	t.Logf("in %s: %s", d, did)

	var after held
	testkit.Eventually(t, 3*time.Minute, "both ends hold what they held before", func() error {
		time.Sleep(500 * time.Millisecond)
		s.api.HTTP.CloseIdleConnections()
		after = s.held()
		const slack = 40 // connections that are kept, at this moment or at that
		switch {
		case after.relayGoroutines > before.relayGoroutines+slack, after.relayFiles > before.relayFiles+slack,
			after.agentsGoroutines > before.agentsGoroutines+slack, after.agentsFiles > before.agentsFiles+slack:
			return fmt.Errorf("before %+v, after %+v", before, after)
		case after.agentsBytes > 2*before.agentsBytes+8<<20, after.relayBytes > 2*before.relayBytes+64<<20:
			return fmt.Errorf("before %+v, after %+v", before, after)
		}
		return nil
	})
	t.Logf("before %+v", before)
	t.Logf("after  %+v", after)
}

// tally counts what was done in a soak.
type tally struct{ small, uploads, aborted, slow, cuts, failed atomic.Int64 }

func (c *tally) String() string {
	return fmt.Sprintf("%d small requests, %d uploads, %d downloads given up, %d slow readers, %d cuts of all tunnels; %d requests failed with them",
		c.small.Load(), c.uploads.Load(), c.aborted.Load(), c.slow.Load(), c.cuts.Load(), c.failed.Load())
}

// soak makes life hard for d.
func (s *stage) soak(door string, between *testkit.Forwarder, d time.Duration) *tally {
	t := s.t
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	done := &tally{}
	var working sync.WaitGroup
	loop := func(workers int, do func(context.Context) error) {
		for range workers {
			working.Go(func() {
				for ctx.Err() == nil {
					if err := do(context.WithoutCancel(ctx)); err != nil {
						done.failed.Add(1)
						// Cut, or no tunnel at this moment: that is what the cuts are for.
						if p := (*apiclient.Problem)(nil); !errors.As(err, &p) || p.Code == "internal" {
							t.Errorf("%v", err)
							return
						}
					}
				}
			})
		}
	}
	loop(4, func(ctx context.Context) error {
		done.small.Add(1)
		return s.api.Do(ctx, "GET", door+"/me", nil, nil)
	})
	loop(1, func(ctx context.Context) error {
		done.uploads.Add(1)
		return s.api.Do(ctx, "POST", door+"/take", object{"text": strings.Repeat("x", 300<<10)}, nil)
	})
	loop(2, func(ctx context.Context) error {
		done.aborted.Add(1)
		return s.download(ctx, door, rand.IntN(4<<20), 0)
	})
	loop(2, func(ctx context.Context) error {
		done.slow.Add(1)
		return s.download(ctx, door, 256<<10, 2*time.Millisecond)
	})
	working.Go(func() {
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(2 * time.Second):
				between.Cut()
				done.cuts.Add(1)
			}
		}
	})
	working.Wait()
	return done
}

// download reads n bytes of an endless answer, with a pause after each few, and
// gives it up. That the tunnel is cut meanwhile is no error.
func (s *stage) download(ctx context.Context, door string, n int, pause time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := s.api.Request(ctx, "GET", door+"/endless", nil)
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
	block := make([]byte, 8<<10)
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
