package testkit_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// echo is a server that sends back whatever it receives.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func throughForwarder(t *testing.T) (*testkit.Forwarder, net.Conn) {
	t.Helper()
	f, err := testkit.NewForwarder("127.0.0.1:0", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f, dial(t, f)
}

func dial(t *testing.T, f *testkit.Forwarder) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", f.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// say sends s and returns how long it took until it was back.
func say(t *testing.T, c net.Conn, s string) time.Duration {
	t.Helper()
	start := time.Now()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(s))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if string(got) != s {
		t.Fatalf("got %q back for %q", got, s)
	}
	return time.Since(start)
}

func TestForwarderPassesBytesAndEndsOn(t *testing.T) {
	_, c := throughForwarder(t)
	sent := bytes.Repeat([]byte("sally"), 1<<20)
	go func() {
		_, _ = c.Write(sent)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d of %d bytes came back, error %v", len(got), len(sent), err)
	}
}

func TestForwarderDelaysEachWay(t *testing.T) {
	f, c := throughForwarder(t)
	f.SetDelay(30 * time.Millisecond)
	if took := say(t, c, "ping"); took < 60*time.Millisecond {
		t.Fatalf("the round trip took %v, less than two delays of 30 ms", took)
	}
}

func TestForwarderSilenceHoldsWithoutClosing(t *testing.T) {
	f, c := throughForwarder(t)
	say(t, c, "before")
	f.Silence(true)
	if _, err := io.WriteString(c, "held"); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	n, err := c.Read(make([]byte, 4))
	if e, ok := err.(net.Error); n != 0 || !ok || !e.Timeout() {
		t.Fatalf("read %d bytes, %v; want silence", n, err)
	}
	f.Silence(false)
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	got := make([]byte, 4)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "held" {
		t.Fatalf("after the silence: %q, %v", got, err)
	}
}

func TestForwarderCutsAtTheByte(t *testing.T) {
	for _, c := range []struct {
		name string
		cuts []testkit.Cut
		want string
	}{
		{"from the target", []testkit.Cut{{After: 5}}, "sally"},
		{"the earlier of two", []testkit.Cut{{After: 7}, {After: 2}}, "sa"},
		{"at once", []testkit.Cut{{Up: true}}, ""},
	} {
		f, open := throughForwarder(t)
		say(t, open, "open")
		f.CutNext(c.cuts...)
		fresh := dial(t, f)
		say(t, open, "not concerned")
		f.CutOpen(func() []testkit.Cut { return c.cuts })
		for _, conn := range []net.Conn{open, fresh} {
			if _, err := io.WriteString(conn, "sallyport"); err != nil {
				t.Fatal(err)
			}
			if got, _ := io.ReadAll(conn); string(got) != c.want {
				t.Errorf("%s: got %q, want %q", c.name, got, c.want)
			}
		}
	}
}

func TestForwarderCutsWhatTheClientSends(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := testkit.NewForwarder("127.0.0.1:0", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.CutNext(testkit.Cut{Up: true, After: 5})
	if _, err := io.WriteString(dial(t, f), "sallyport"); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, _ := io.ReadAll(c); string(got) != "sally" {
		t.Fatalf("got %q, want the first 5 bytes", got)
	}
}

func TestForwarderCutsByResetting(t *testing.T) {
	f, c := throughForwarder(t)
	say(t, c, "before")
	f.CutOpen(func() []testkit.Cut { return []testkit.Cut{{After: 0, Reset: true}} })
	if _, err := io.WriteString(c, "sallyport"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got %v, want a reset", err)
	}
}

// TestForwarderThrottlesEvenly: bytes trickle, and the sender is held back.
func TestForwarderThrottlesEvenly(t *testing.T) {
	const rate, size = 64 << 10, 32 << 10
	f, c := throughForwarder(t)
	f.SetRate(rate)
	start := time.Now()
	if _, err := c.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, size/8)); err != nil {
		t.Fatal(err)
	}
	first := time.Since(start)
	if _, err := io.ReadFull(c, make([]byte, size-size/8)); err != nil {
		t.Fatal(err)
	}
	if whole := time.Since(start); whole < time.Second*size/rate || first > whole/2 {
		t.Errorf("the first eighth took %v, the whole %v", first, whole)
	}
}

func TestForwarderCutAndRefuse(t *testing.T) {
	f, c := throughForwarder(t)
	say(t, c, "before")
	f.Cut()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Fatal("the connection survived the cut")
	}
	f.Refuse(true)
	if _, err := dial(t, f).Read(make([]byte, 1)); err == nil {
		t.Fatal("a connection was served while refusing")
	}
	f.RefuseShare(0.5, rand.New(rand.NewPCG(1, 2)))
	served := 0
	for range 40 {
		c := dial(t, f)
		if _, err := io.WriteString(c, "?"); err == nil {
			if n, _ := c.Read(make([]byte, 1)); n == 1 {
				served++
			}
		}
	}
	if served < 10 || served > 30 {
		t.Errorf("%d of 40 were served where half should be", served)
	}
	f.Refuse(false)
	say(t, dial(t, f), "after")
	if n := f.Accepted(); n != 43 {
		t.Errorf("%d connections were counted", n)
	}
}
