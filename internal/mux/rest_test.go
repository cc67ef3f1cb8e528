package mux

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/zap"

	"sallyport/internal/testkit"
	"sallyport/internal/wsconn"
)

// restful is a relay's session that rests, and an agent's that echoes what each
// stream brings and agrees to rest, as package agent/link does.
type restful struct {
	relay, agent *Session
	serving      atomic.Int32
	work         sync.WaitGroup
}

func newRestful(t *testing.T) *restful {
	t.Helper()
	r := &restful{}
	var watcher wsconn.Watcher
	ready := make(chan struct{})
	upgrader := &websocket.Upgrader{WriteBufferSize: wsconn.ServerWriteBuffer, WriteBufferPool: &wsconn.WriteBuffers{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ws, buffer, err := wsconn.Upgrade(upgrader, w, req)
		if err != nil {
			t.Error(err)
			return
		}
		<-ready
		var started sync.Mutex // the first text may come before Server has returned
		started.Lock()
		defer started.Unlock()
		conn := wsconn.New(ws, wsconn.Options{Watcher: &watcher, Buffer: buffer, OnText: func(raw []byte) error {
			started.Lock()
			defer started.Unlock()
			n, _ := strconv.ParseInt(string(raw), 10, 64)
			return r.relay.Rested(n)
		}})
		r.relay = Server(conn, Options{RTT: time.Millisecond, Log: zap.NewNop()})
		ready <- struct{}{}
	}))
	ws, _, err := (&websocket.Dialer{WriteBufferSize: wsconn.MaxMessage, WriteBufferPool: &wsconn.WriteBuffers{}}).Dial("ws"+server.URL[len("http"):], nil)
	if err != nil {
		t.Fatal(err)
	}
	var conn *wsconn.Conn
	conn = wsconn.New(ws, wsconn.Options{OnText: func(raw []byte) error {
		if r.serving.Load() == 0 {
			conn.SendTextAlone(raw)
		}
		return nil
	}})
	if r.agent, err = Client(conn, Options{RTT: time.Millisecond, Log: zap.NewNop()}); err != nil {
		t.Fatal(err)
	}
	r.work.Go(func() {
		for {
			stream, err := r.agent.AcceptStream()
			if err != nil {
				return
			}
			r.serving.Add(1)
			r.work.Go(func() {
				defer r.serving.Add(-1)
				defer stream.Close()
				_, _ = io.Copy(stream, stream)
			})
		}
	})
	ready <- struct{}{}
	<-ready
	t.Cleanup(func() {
		var closing sync.WaitGroup
		closing.Go(func() { _ = r.agent.Close() })
		closing.Go(func() { _ = r.relay.Close() })
		closing.Wait()
		r.work.Wait()
		server.Close()
		_ = watcher.Close()
	})
	return r
}

// echo sends a request and checks its answer.
func (r *restful) echo(text string) error {
	stream, err := r.relay.OpenStream()
	if err != nil {
		return err
	}
	defer stream.Abort()
	if err := stream.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(stream, text); err != nil {
		return err
	}
	if err := stream.Close(); err != nil {
		return err
	}
	got, err := io.ReadAll(stream)
	if err != nil || string(got) != text {
		return fmt.Errorf("%q came back for %q: %w", got, text, err)
	}
	return nil
}

// ask does what the hub does with each heartbeat.
func (r *restful) ask() {
	if n, ask := r.relay.MayRest(false); ask {
		_ = r.relay.Conn().SendText([]byte(strconv.FormatInt(n, 10))) // where the tunnel has ended, it fails
	}
}

func (r *restful) rests() bool {
	r.relay.mu.Lock()
	defer r.relay.mu.Unlock()
	return r.relay.inner == nil
}

// TestUnusedSessionRestsAgain, and is there for the next request, any number
// of times.
func TestUnusedSessionRestsAgain(t *testing.T) {
	r := newRestful(t)
	if !r.rests() {
		t.Error("it does not rest before its first stream")
	}
	for n := range 30 {
		for k := range 1 + n%3 {
			if err := r.echo(fmt.Sprintf("%d.%d", n, k)); err != nil {
				t.Fatal(err)
			}
		}
		testkit.Eventually(t, 5*time.Second, "the session rests", func() error {
			r.ask()
			if !r.rests() {
				return fmt.Errorf("it has %d streams", r.agent.inner.NumStreams())
			}
			return nil
		})
	}
}

// TestSessionDoesNotRestWhileAStreamIsOpen.
func TestSessionDoesNotRestWhileAStreamIsOpen(t *testing.T) {
	r := newRestful(t)
	stream, err := r.relay.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if n, ask := r.relay.MayRest(false); ask {
			t.Fatalf("question %d", n)
		}
	}
	_ = stream.Close()
	if err := r.relay.Rested(0); err != nil {
		t.Error("a question that was not asked is answered")
	}
}

// TestSessionIsAskedToRestAtOnceInACrowd, but not again before it may have
// answered.
func TestSessionIsAskedToRestAtOnceInACrowd(t *testing.T) {
	r := newRestful(t)
	if err := r.echo("used"); err != nil {
		t.Fatal(err)
	}
	var first int64
	testkit.Eventually(t, 5*time.Second, "the session is asked", func() error {
		n, ask := r.relay.MayRest(true)
		if !ask {
			return errors.New("not yet: the stream is being closed")
		}
		first = n
		return nil
	})
	if n, ask := r.relay.MayRest(true); ask {
		t.Errorf("question %d after %d", n, first)
	}
	if err := r.relay.Conn().SendText([]byte(strconv.FormatInt(first, 10))); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 5*time.Second, "it rests when it is answered", func() error {
		if r.relay.Awake() {
			r.ask() // in its turn, in case that the agent was still busy
			return errors.New("it is awake")
		}
		return nil
	})
}

// TestWindowFollowsTheRoundTripOfTheNextWaking: the handshake's was measured in a
// crowd.
func TestWindowFollowsTheRoundTripOfTheNextWaking(t *testing.T) {
	r := newRestful(t)
	r.relay.opts.RTT, r.relay.opts.Budget = time.Second, NewBudget(1<<30)
	r.relay.windows = newWindows(Window(time.Second), r.relay.opts.Budget)
	for _, c := range []struct {
		rtt  time.Duration
		want uint32
	}{{time.Second, mostWindow}, {time.Millisecond, shortWindow}, {80 * time.Millisecond, mostWindow}} {
		r.relay.SetRTT(c.rtt)
		stream, err := r.relay.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		r.relay.SetRTT(time.Minute) // nothing, while it is awake
		if got := config(r.relay.opts).MaxStreamWindowSize; got != c.want || r.relay.windows.most != c.want {
			t.Errorf("%s: a window of %d, of %d, want %d", c.rtt, got, r.relay.windows.most, c.want)
		}
		if _, err := io.WriteString(stream, "x"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(stream, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		_ = stream.Close()
		testkit.Eventually(t, 5*time.Second, "the session rests", func() error {
			r.ask()
			if !r.rests() {
				return errors.New("not yet")
			}
			return nil
		})
	}
}

// TestSessionDoesNotRestBeforeTheAgentHasSentAFrame: the agent agrees at once,
// but nobody would ever end the yamux session that waits for its first frame.
func TestSessionDoesNotRestBeforeTheAgentHasSentAFrame(t *testing.T) {
	r := newRestful(t)
	r.relay.mu.Lock()
	_, _, err := r.relay.begin() // as for a stream whose SYN has not left yet
	r.relay.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if n, ask := r.relay.MayRest(false); ask {
			t.Errorf("question %d", n)
		}
	}
	r.relay.mu.Lock()
	r.relay.askings++
	r.relay.asked = r.relay.askings
	asked := r.relay.asked
	r.relay.mu.Unlock()
	if err := r.relay.Rested(asked); err != nil || r.rests() {
		t.Errorf("it rests: %v", err)
	}
	if err := r.echo("and goes on"); err != nil {
		t.Error(err)
	}
}

// TestRequestsAndRestsMayComeAtOnce: every request is answered, whenever the
// session is about to rest, and no stream receives what is another's.
func TestRequestsAndRestsMayComeAtOnce(t *testing.T) {
	r := newRestful(t)
	stop := make(chan struct{})
	var asking, requesting sync.WaitGroup
	rested := 0
	asking.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			r.ask()
			if r.rests() {
				rested++
			}
			time.Sleep(50 * time.Microsecond)
		}
	})
	for worker := range 2 {
		requesting.Go(func() {
			for n := range 300 {
				if err := r.echo(fmt.Sprintf("worker %d, request %d", worker, n)); err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Duration(n%7) * 100 * time.Microsecond)
			}
		})
	}
	requesting.Wait()
	close(stop)
	asking.Wait()
	if rested == 0 {
		t.Error("it never rested")
	}
}
