package wsconn_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/testkit"
	"sallyport/internal/wsconn"
)

// piecemeal passes one connection on, what the client sends in pieces that end
// anywhere: in the middle of a frame, or of a record of TLS. After so many bytes
// it cuts the connection, if not 0.
type piecemeal struct {
	net.Listener
	rnd *rand.Rand
	cut int
}

// listenPiecemeal listens in front of an address until the test is over.
func listenPiecemeal(t *testing.T, to string, rnd *rand.Rand, cut int) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p := &piecemeal{listener, rnd, cut}
		if err := p.serve(to); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-ended })
	return listener.Addr().String()
}

func (p *piecemeal) serve(to string) error {
	client, err := p.Accept()
	if err != nil {
		return err
	}
	defer client.Close()
	target, err := net.Dial("tcp", to)
	if err != nil {
		return err
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, target)
		_ = client.Close()
	})
	p.pass(target, client)
	if p.rnd.IntN(2) == 0 {
		_ = target.(*net.TCPConn).SetLinger(0) // a reset
	}
	_ = target.Close()
	back.Wait()
	return nil
}

// pass ends with the connection, or where it is cut.
func (p *piecemeal) pass(target, client net.Conn) {
	buffer := make([]byte, 64<<10)
	passed := 0
	for {
		n, err := client.Read(buffer)
		for rest := buffer[:n]; len(rest) > 0; {
			piece := min(1+p.rnd.IntN(1<<p.rnd.IntN(13)), len(rest))
			if p.cut > 0 {
				piece = min(piece, p.cut-passed)
			}
			if _, err := target.Write(rest[:piece]); err != nil {
				return
			}
			rest, passed = rest[piece:], passed+piece
			if passed == p.cut {
				return
			}
			if p.rnd.IntN(4) == 0 { // the other end takes in what has come
				time.Sleep(time.Duration(p.rnd.IntN(300)) * time.Microsecond)
			}
		}
		if err != nil {
			return
		}
	}
}

// restingEnd reads like a relay: it rests until there is data, and again when
// the other end says so.
type restingEnd struct {
	*wsconn.Conn
	data  []byte
	texts []string
	taken atomic.Int64 // how many bytes and texts
	err   error        // how it ended
	done  chan struct{}
}

const layDown = "rest"

func (r *restingEnd) onText(raw []byte) error {
	if string(raw) == layDown {
		return wsconn.ErrRest
	}
	r.texts = append(r.texts, string(raw))
	r.taken.Add(1)
	return nil
}

func (r *restingEnd) read() {
	defer close(r.done)
	for {
		woken := make(chan struct{})
		r.Rest(func() { close(woken) })
		<-woken
		buffer := make([]byte, 10_000)
		for r.err = nil; r.err == nil; {
			var n int
			n, r.err = r.Read(buffer)
			r.data = append(r.data, buffer[:n]...)
			r.taken.Add(int64(n))
		}
		if r.err != wsconn.ErrRest {
			_ = r.Close()
			return
		}
	}
}

// takes waits until so many bytes and texts have come, with nothing behind them
// that would wake the end, or until the connection is over.
func (r *restingEnd) takes(t *testing.T, want int) {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, "it takes in what has come", func() error {
		select {
		case <-r.done:
			return nil
		default:
		}
		if got := int(r.taken.Load()); got < want {
			return fmt.Errorf("%d of %d", got, want)
		}
		return nil
	})
}

// speak sends heartbeats, texts and data in any order, for a few turns of rest,
// and returns what should come of it.
func speak(t *testing.T, peer *wsconn.Conn, to *restingEnd, rnd *rand.Rand) (data []byte, texts []string) {
	t.Helper()
	for turn := range 12 {
		for range rnd.IntN(8) {
			switch rnd.IntN(3) {
			case 0:
				peer.Ping()
			case 1:
				peer.SignOfLife()
			default:
				text := fmt.Sprint(turn) + strings.Repeat("x", rnd.IntN(1<<rnd.IntN(12)))
				texts = append(texts, text)
				if peer.SendText([]byte(text)) != nil {
					return data, texts
				}
			}
			if rnd.IntN(4) == 0 { // the next one in a message of its own, mostly
				time.Sleep(time.Duration(rnd.IntN(2000)) * time.Microsecond)
			}
		}
		if rnd.IntN(2) == 0 {
			to.takes(t, len(data)+len(texts))
		}
		piece := bytes.Repeat([]byte{byte(turn)}, 1+rnd.IntN(1<<rnd.IntN(17)))
		data = append(data, piece...)
		if _, err := peer.Write(piece); err != nil {
			return data, texts
		}
		to.takes(t, len(data)+len(texts))
		for turn%3 > 0 && !peer.SendTextAlone([]byte(layDown)) {
			if peer.Cause() != nil {
				return data, texts
			}
			time.Sleep(100 * time.Microsecond) // between two looks
		}
	}
	return data, texts
}

// TestNothingIsLostInPieces: whatever the pieces are in which a connection's
// bytes come, and wherever it is cut, an end that rests is woken by each.
func TestNothingIsLostInPieces(t *testing.T) { eachKind(t, nothingIsLostInPieces) }

func nothingIsLostInPieces(t *testing.T, version uint16) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 1))
			cut := 0
			if seed%2 == 1 {
				cut = 3000 + rnd.IntN(1<<rnd.IntN(18)) // after the handshakes
			}
			r := &restingEnd{done: make(chan struct{})}
			end, peer := restful(t, version, func(to string) string {
				return listenPiecemeal(t, to, rand.New(rand.NewPCG(seed, 2)), cut)
			}, wsconn.Options{OnText: r.onText})
			r.Conn = end
			go r.read()
			data, texts := speak(t, peer, r, rnd)
			_ = peer.Close()
			select {
			case <-r.done:
			case <-time.After(30 * time.Second):
				t.Fatal("it sleeps on")
			}
			whole := r.ClosedInOrder()
			switch {
			case cut == 0 && (r.err != io.EOF || !whole):
				t.Errorf("ended with %v, in order: %v", r.err, whole)
			case !bytes.HasPrefix(data, r.data) || whole && len(r.data) < len(data):
				t.Errorf("other bytes: %d of %d", len(r.data), len(data))
			case len(r.texts) > len(texts) || !slices.Equal(r.texts, texts[:len(r.texts)]) || whole && len(r.texts) < len(texts):
				t.Errorf("other texts: %d of %d", len(r.texts), len(texts))
			}
		})
	}
}
