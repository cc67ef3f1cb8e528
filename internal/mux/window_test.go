package mux_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/mux"
	"sallyport/internal/testkit"
)

// budgeted is a pair of sessions over a long path, of which the relay's reads
// by a budget.
func budgeted(t *testing.T, budget *mux.Budget) (client, server *mux.Session) {
	t.Helper()
	return sessionsWith(t, mux.Options{RTT: 80 * time.Millisecond, Budget: budget})
}

// open opens a stream, from the relay to the agent.
func open(t *testing.T, client, server *mux.Session) (relay, agent *mux.Stream) {
	t.Helper()
	relay, err := server.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	if agent, err = client.AcceptStream(); err != nil {
		t.Fatal(err)
	}
	return relay, agent
}

// TestUnreadAnswersStayWithinTheBudget: two hundred readers that read nothing,
// over a path whose window is 32 MiB. What their senders get rid of is what the
// relay must hold.
func TestUnreadAnswersStayWithinTheBudget(t *testing.T) {
	const streams, least, total = 200, 256 << 10, 64 << 20
	budget := mux.NewBudget(total)
	client, server := budgeted(t, budget)
	sent := make([]atomic.Int64, streams)
	var sending sync.WaitGroup
	var opened []*mux.Stream
	for i := range streams {
		relay, agent := open(t, client, server)
		opened = append(opened, relay)
		sending.Go(func() {
			block := make([]byte, 16<<10)
			for {
				n, err := agent.Write(block)
				sent[i].Add(int64(n))
				if err != nil {
					_ = agent.Close()
					return
				}
			}
		})
	}
	sum := func() (all int64) {
		for i := range sent {
			all += sent[i].Load()
		}
		return all
	}
	last := int64(-1)
	testkit.Eventually(t, 20*time.Second, "all senders are stalled", func() error {
		time.Sleep(100 * time.Millisecond)
		now := sum()
		if moved := now - last; moved != 0 || now < streams*least {
			last = now
			return fmt.Errorf("%d bytes went through", moved)
		}
		return nil
	})
	if sum() > streams*least+total {
		t.Errorf("%d MiB are unread", sum()>>20)
	}
	if got := sent[0].Load(); got < total/8 {
		t.Errorf("the first stream has a window of %d KiB only", got>>10)
	}
	if got := sent[streams-1].Load(); got < least {
		t.Errorf("the last stream has a window of %d KiB", got>>10)
	}
	for _, relay := range opened {
		relay.Abort()
	}
	if budget.Taken() != 0 {
		t.Errorf("%d bytes of the budget are lost", budget.Taken())
	}
	began := time.Now()
	_ = client.Close()
	sending.Wait()
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("two hundred stalled senders are let go after %s", took)
	}
}

// TestStreamsArriveWholeWhateverTheirWindow: with shares of every size, also
// none, each reader gets on to the end, and the budget is whole afterwards.
func TestStreamsArriveWholeWhateverTheirWindow(t *testing.T) {
	payload := make([]byte, 2<<20)
	_, _ = rand.Read(payload)
	for _, total := range []int64{0, 700 << 10, 128 << 20} {
		budget := mux.NewBudget(total)
		client, server := budgeted(t, budget)
		var working sync.WaitGroup
		for range 6 {
			relay, agent := open(t, client, server)
			working.Go(func() {
				if _, err := agent.Write(payload); err != nil {
					t.Error(err)
				}
				_ = agent.Close()
			})
			working.Go(func() {
				got, err := io.ReadAll(relay)
				if err != nil || !bytes.Equal(got, payload) {
					t.Errorf("budget %d: %d of %d bytes, %v", total, len(got), len(payload), err)
				}
				_ = relay.Close()
			})
		}
		working.Wait()
		if budget.Taken() != 0 {
			t.Errorf("budget %d: %d bytes are lost", total, budget.Taken())
		}
	}
}

// TestBudgetIsWholeAfterATunnelBroke, whatever its streams were doing.
func TestBudgetIsWholeAfterATunnelBroke(t *testing.T) {
	budget := mux.NewBudget(64 << 20)
	client, server := budgeted(t, budget)
	relay, agent := open(t, client, server)
	if _, err := agent.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if budget.Taken() == 0 {
		t.Error("nothing is taken")
	}
	_ = client.Close()
	<-server.Ended()
	testkit.Eventually(t, 5*time.Second, "all is given back", func() error {
		if budget.Taken() != 0 {
			return fmt.Errorf("%d bytes are taken", budget.Taken())
		}
		return nil
	})
	_ = relay.Close()
}
