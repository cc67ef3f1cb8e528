package mux_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"pgregory.net/rapid"

	"sallyport/internal/mux"
	"sallyport/internal/wsconn"
)

// patience is how long anything may take that should take a moment. It is less
// than the 10 s after which the fuzzing engine gives up, which says nothing.
const patience = 8 * time.Second

// pattern is the byte that belongs at an offset of one direction of a stream.
// No two streams or directions are alike for long.
func pattern(stream uint32, up bool, offset int) byte {
	x := uint64(stream)<<33 | uint64(offset)<<1
	if up {
		x |= 1
	}
	x = (x ^ x>>31) * 0x9E3779B97F4A7C15
	return byte(x >> 56)
}

func fill(p []byte, stream uint32, up bool, offset int) {
	for i := range p {
		p[i] = pattern(stream, up, offset+i)
	}
}

// half is one direction of a stream, as it went.
type half struct {
	stream   uint32
	up       bool // from client to server
	written  int
	got      []byte
	whole    bool // written to its end and closed
	ended    bool // the reader saw the end in order
	mayBreak bool // one of the two gives up early
}

// scenario is a client and a server that talk on some streams at once.
type scenario struct {
	mu     sync.Mutex // guards the following
	halves map[uint32]*[2]*half
	ended  int // talks, of either end
}

func (s *scenario) half(stream uint32, up bool, mayBreak bool) *half {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.halves[stream] == nil {
		s.halves[stream] = &[2]*half{{stream: stream}, {stream: stream, up: true}}
	}
	h := s.halves[stream][0]
	if up {
		h = s.halves[stream][1]
	}
	h.mayBreak = h.mayBreak || mayBreak
	return h
}

// talk is what one end does with a stream: it writes its own direction, and
// reads the other, each at its own pace.
func (s *scenario) talk(stream *mux.Stream, client bool, p plan) {
	giveUp := p.byte()
	breaks := giveUp > 230
	mine, theirs := s.half(stream.StreamID(), client, breaks), s.half(stream.StreamID(), !client, breaks)
	var reading sync.WaitGroup
	reading.Go(func() {
		buffer := make([]byte, 1+int(giveUp)*16)
		for {
			n, err := stream.Read(buffer)
			theirs.got = append(theirs.got, buffer[:n]...)
			if err != nil {
				theirs.ended = errors.Is(err, io.EOF)
				s.mu.Lock()
				broken := theirs.mayBreak
				s.mu.Unlock()
				if broken {
					stream.Abort() // nobody answers any more
				}
				return
			}
		}
	})
	for range int(p.byte()) % 6 {
		size := int(p.byte())
		switch {
		case size > 250:
			size *= 1100 // more than a window
		case size > 128:
			size *= 40
		}
		data := make([]byte, size)
		fill(data, mine.stream, client, mine.written)
		n, err := stream.Write(data)
		mine.written += n
		if err != nil {
			break
		}
		p.delay()
	}
	if breaks {
		stream.Abort()
	} else if stream.Close() == nil {
		mine.whole = true
	}
	reading.Wait()
	_ = stream.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended++
}

// play runs a script and checks what arrived where.
func play(t testing.TB, script []byte) {
	p := plan{script: script}
	streams := 1 + int(p.byte())%6
	kind, position := p.byte(), int(p.byte())<<8|int(p.byte())
	flip := p.byte()
	spoiled := harm{at: -1}
	switch {
	case kind > 170:
		spoiled = harm{position, flip | 1<<(kind%8)}
	case kind > 128:
		spoiled = harm{position, 0}
	}
	upwards := kind%2 == 1 // the direction that is harmed
	make1 := func(up bool) func(from, to net.Conn) *wire {
		h := harm{at: -1}
		if up == upwards {
			h = spoiled
		}
		return func(from, to net.Conn) *wire { return newWire(from, to, p.at(len(script)/2), h) }
	}
	wsClient, wsServer, wires, passing := websockets(t, make1(false), make1(true))
	opts := mux.Options{RTT: time.Millisecond, Log: zap.NewNop()}
	near, far := wsconn.New(wsClient, wsconn.Options{}), wsconn.New(wsServer, wsconn.Options{})
	client, err := mux.Client(near, opts)
	if err != nil {
		t.Fatal(err)
	}
	server := mux.Server(far, opts)

	s := &scenario{halves: map[uint32]*[2]*half{}}
	var answering, asking sync.WaitGroup
	answering.Go(func() {
		var talks sync.WaitGroup
		defer talks.Wait()
		for {
			stream, err := client.AcceptStream()
			if err != nil {
				return
			}
			talks.Go(func() { s.talk(stream, true, p.at(7*int(stream.StreamID()))) })
		}
	})
	opened := 0
	for i := range streams {
		stream, err := server.OpenStream()
		if err != nil {
			break
		}
		opened++
		asking.Go(func() { s.talk(stream, false, p.at(11*i+5)) })
		if i%2 == 1 {
			near.Ping()
			far.Ping()
		}
	}
	alive := s.settle(t, 2*opened, wires)
	w := wires[0]
	if upwards {
		w = wires[1]
	}
	_, harmed, mild := w.damage()
	if alive && (spoiled.at < 0 || harmed && mild) { // no harm is still to come
		stream, err := server.OpenStream()
		if err != nil {
			t.Errorf("afterwards no stream can be opened: %v", err)
		} else {
			s.talk(stream, false, plan{script: []byte{0, 1, 5, 0}})
			s.settle(t, 2*opened+2, wires)
		}
	}
	if _, harmed, mild = w.damage(); harmed && !mild {
		// What was harmed may wait for bytes that never come.
		wires[0].cut()
		wires[1].cut()
	}
	var closing sync.WaitGroup
	closing.Go(func() { _ = client.Close() })
	closing.Go(func() { _ = server.Close() })
	await(t, "the sessions to close", &closing)
	await(t, "the server's streams to end", &asking)
	await(t, "the client's streams to end", &answering)
	wires[0].cut()
	wires[1].cut()
	await(t, "the wires to end", passing)
	s.check(t, w, upwards)
}

// settle waits until so many talks have come to their end: true, or until
// nothing moves any more, as may be where something was harmed for good.
func (s *scenario) settle(t testing.TB, talks int, wires [2]*wire) bool {
	t.Helper()
	last, moved := int64(-1), time.Now()
	for {
		s.mu.Lock()
		ended := s.ended >= talks
		s.mu.Unlock()
		if ended {
			return true
		}
		broken := false
		for _, w := range wires {
			_, harmed, mild := w.damage()
			broken = broken || harmed && !mild
		}
		if now := wires[0].moved.Load() + wires[1].moved.Load(); now != last {
			last, moved = now, time.Now()
		}
		if broken && time.Since(moved) > 50*time.Millisecond {
			return false
		}
		if time.Since(moved) > patience {
			t.Fatal("streams hang on a network that only splits and merges")
		}
		time.Sleep(time.Millisecond)
	}
}

func await(t testing.TB, what string, group *sync.WaitGroup) {
	t.Helper()
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("gave up waiting for %s", what)
	}
}

// check holds each stream to what can be said of it.
//
// Unharmed, all that was written to a stream and ended arrives there, whole and
// in order; of a stream that was given up, a beginning does. A byte changed
// within a body arrives changed, at its place, and nothing else is touched. A
// byte changed elsewhere may do anything to what comes after it in that
// direction, since nothing under TLS detects it; what came before is as it was
// sent, and so is a beginning of everything in the other direction.
func (s *scenario) check(t testing.TB, w *wire, upwards bool) {
	t.Helper()
	hit, harmed, mild := w.damage()
	flipped := harmed && w.harm.flip != 0
	for _, halves := range s.halves {
		for _, h := range halves {
			sure := len(h.got) // how much of it must be as it was written
			if flipped && !hit.payload && h.up == upwards {
				sure = min(sure, hit.before[h.stream])
			}
			want := make([]byte, sure)
			fill(want, h.stream, h.up, 0)
			if flipped && hit.payload && h.up == upwards && h.stream == hit.stream && hit.offset < sure {
				want[hit.offset] ^= w.harm.flip
			}
			if !slices.Equal(h.got[:sure], want) {
				t.Errorf("stream %d, up %v: another byte than was written at %d of %d", h.stream, h.up, differs(h.got, want), len(h.got))
			}
			safe := !harmed || mild
			if safe && len(h.got) > h.written {
				t.Errorf("stream %d, up %v: %d bytes arrived, %d were written", h.stream, h.up, len(h.got), h.written)
			}
			if safe && h.whole && !h.mayBreak && (len(h.got) != h.written || !h.ended) {
				t.Errorf("stream %d, up %v: %d of %d bytes arrived, ended %v", h.stream, h.up, len(h.got), h.written, h.ended)
			}
		}
	}
}

func differs(got, want []byte) int {
	for i := range want {
		if got[i] != want[i] {
			return i
		}
	}
	return len(want)
}

// script makes a fuzzer's bytes: so many streams, the harm, and what follows
// decides sizes, pieces and delays.
func script(streams, kind byte, position uint16, flip byte, rest ...byte) []byte {
	head := binary.BigEndian.AppendUint16([]byte{streams, kind}, position)
	return append(append(head, flip), rest...)
}

func FuzzStreams(f *testing.F) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, script []byte) { play(t, script[:min(len(script), 400)]) })
}

var seeds = [][]byte{
	{},
	script(5, 0, 0, 0, 3, 200, 10, 255, 4, 90, 1, 5, 130, 70, 241, 250),
	script(5, 0, 0, 0, 250, 3, 252, 252, 10, 255, 240, 1, 4, 7, 9, 33),
	script(3, 200, 5, 1, 9, 4, 130, 130, 7, 60, 1, 5, 255),               // in the first frame's header, down
	script(3, 201, 40, 4, 9, 4, 130, 130, 7, 60, 1, 5, 255),              // in a body, up
	script(3, 200, 300, 16, 9, 4, 130, 130, 7, 60, 1, 5, 255),            // in a body, down
	script(5, 171, 2000, 128, 2, 5, 253, 140, 200, 0, 64, 3, 99),         // somewhere, up
	script(5, 130, 777, 0, 2, 5, 253, 140, 200, 0, 64, 3, 99),            // cut, down
	script(5, 131, 4, 0, 2, 5, 253, 140, 200, 0, 64, 3, 99, 240, 255, 1), // cut early, up
}

// TestStreamsSurviveAnyNetwork is the fuzz target's twin with rapid's choice of
// scripts.
func TestStreamsSurviveAnyNetwork(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		play(t, rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(r, "script"))
	})
}
