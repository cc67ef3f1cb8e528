package rawio_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/internal/rawio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is the two ends of a connection, as dialled and as accepted.
func pair(t *testing.T) (dialled, accepted net.Conn) {
	t.Helper()
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := rawio.Listen(plain)
	defer l.Close()
	dialled, err = rawio.Dial(&net.Dialer{Timeout: 10 * time.Second})(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dialled.Close() })
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = accepted.Close() })
	return dialled, accepted
}

// TestPiecesOfAllSizesArriveInOrder has both ends send at once, and pieces on
// both sides of what counts as small, with ordinary calls among them.
func TestPiecesOfAllSizesArriveInOrder(t *testing.T) {
	a, b := pair(t)
	random := rand.New(rand.NewPCG(1, 2))
	said := func() []byte {
		p := make([]byte, 4<<20)
		for i := range p {
			p[i] = byte(random.Uint32())
		}
		return p
	}
	var work sync.WaitGroup
	send := func(c net.Conn, p []byte, seed uint64) {
		sizes := rand.New(rand.NewPCG(seed, 0))
		work.Go(func() {
			for rest := p; len(rest) > 0; {
				n := min(len(rest), 1+sizes.IntN(1<<sizes.IntN(18)))
				if m, err := c.Write(rest[:n]); err != nil || m != n {
					t.Errorf("wrote %d of %d: %v", m, n, err)
					return
				}
				rest = rest[n:]
			}
			if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Error(err)
			}
		})
	}
	receive := func(c net.Conn, want []byte, seed uint64) {
		sizes := rand.New(rand.NewPCG(seed, 0))
		work.Go(func() {
			var got bytes.Buffer
			buf := make([]byte, 64<<10)
			for {
				n, err := c.Read(buf[:1+sizes.IntN(1<<sizes.IntN(16))])
				got.Write(buf[:n])
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%d bytes arrived, which are not the %d that were sent", got.Len(), len(want))
			}
		})
	}
	fromA, fromB := said(), said()
	send(a, fromA, 3)
	send(b, fromB, 4)
	receive(a, fromB, 5)
	receive(b, fromA, 6)
	work.Wait()
}

// warm moves a few pieces, since the first of each direction is moved by an
// ordinary call.
func warm(t *testing.T, a, b net.Conn) {
	t.Helper()
	for range 3 {
		for _, ends := range [][2]net.Conn{{a, b}, {b, a}} {
			if _, err := ends[0].Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(ends[1], make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// fill writes small pieces until no more is taken.
func fill(c net.Conn) error {
	for {
		if _, err := c.Write(make([]byte, 4<<10)); err != nil {
			return err
		}
	}
}

func TestAWaitEnds(t *testing.T) {
	for _, end := range []struct {
		name string
		do   func(t *testing.T, waiting, other net.Conn)
		read func(error) bool // whether that is what a reader is told
		also bool             // a writer too, and the same
	}{
		{"at the deadline", func(t *testing.T, waiting, _ net.Conn) {
			if err := waiting.SetDeadline(time.Unix(1, 0)); err != nil {
				t.Error(err)
			}
		}, func(err error) bool {
			var timeout net.Error
			return errors.Is(err, os.ErrDeadlineExceeded) && errors.As(err, &timeout) && timeout.Timeout()
		}, true},
		{"when it is closed", func(t *testing.T, waiting, _ net.Conn) {
			if err := waiting.Close(); err != nil {
				t.Error(err)
			}
		}, func(err error) bool { return errors.Is(err, net.ErrClosed) }, true},
		{"when the other end closes", func(t *testing.T, _, other net.Conn) {
			if err := other.Close(); err != nil {
				t.Error(err)
			}
		}, func(err error) bool { return err == io.EOF }, false},
		{"when the other end resets", func(t *testing.T, _, other net.Conn) {
			if err := errors.Join(other.(interface{ SetLinger(int) error }).SetLinger(0), other.Close()); err != nil {
				t.Error(err)
			}
		}, func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }, true},
	} {
		t.Run("reading, "+end.name, func(t *testing.T) {
			waiting, other := pair(t)
			warm(t, waiting, other)
			told := make(chan error)
			go func() {
				_, err := waiting.Read(make([]byte, 1))
				told <- err
			}()
			end.do(t, waiting, other)
			if err := <-told; !end.read(err) {
				t.Errorf("the reader was told: %v", err)
			}
		})
		if !end.also {
			continue
		}
		t.Run("writing, "+end.name, func(t *testing.T) {
			waiting, other := pair(t)
			warm(t, waiting, other)
			told := make(chan error)
			go func() { told <- fill(waiting) }()
			end.do(t, waiting, other)
			if err := <-told; !end.read(err) && !errors.Is(err, syscall.EPIPE) {
				t.Errorf("the writer was told: %v", err)
			}
		})
	}
}

// TestErrorsReadAsTheNetPackagesDo compares with a connection that was left
// alone.
func TestErrorsReadAsTheNetPackagesDo(t *testing.T) {
	words := func(c net.Conn, err error) string {
		text := strings.ReplaceAll(err.Error(), c.LocalAddr().String(), "HERE")
		return strings.ReplaceAll(text, c.RemoteAddr().String(), "THERE")
	}
	cases := map[string]func(c net.Conn) error{
		"closed": func(c net.Conn) error {
			_ = c.Close()
			_, err := c.Read(make([]byte, 1))
			return err
		},
		"written after it was closed": func(c net.Conn) error {
			_ = c.Close()
			_, err := c.Write(make([]byte, 1))
			return err
		},
		"too late": func(c net.Conn) error {
			_ = c.SetDeadline(time.Unix(1, 0))
			_, err := c.Read(make([]byte, 1))
			return err
		},
	}
	for name, do := range cases {
		ours, other := pair(t)
		warm(t, ours, other)
		var d net.Dialer
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		plain, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
		_ = l.Close()
		if err != nil {
			t.Fatal(err)
		}
		got, want := words(ours, do(ours)), words(plain, do(plain))
		_ = plain.Close()
		if got != want {
			t.Errorf("%s: %q, not %q", name, got, want)
		}
	}
}

func TestReadingOrWritingNothing(t *testing.T) {
	a, b := pair(t)
	warm(t, a, b)
	if n, err := a.Read(nil); n != 0 || err != nil {
		t.Errorf("read: %d, %v", n, err)
	}
	if n, err := a.Write(nil); n != 0 || err != nil {
		t.Errorf("write: %d, %v", n, err)
	}
}

// TestOnlyTCPIsWrapped leaves alone what it can't be done for.
func TestOnlyTCPIsWrapped(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if rawio.Conn(a) != a {
		t.Error("a pipe was wrapped")
	}
}

// TestSocketCanBeReached is for what sets options of the socket, or watches it.
func TestSocketCanBeReached(t *testing.T) {
	a, b := pair(t)
	for _, c := range []net.Conn{a, b} {
		socket, ok := c.(syscall.Conn)
		if !ok {
			t.Fatalf("%T is no syscall.Conn", c)
		}
		if _, err := socket.SyscallConn(); err != nil {
			t.Error(err)
		}
	}
}
