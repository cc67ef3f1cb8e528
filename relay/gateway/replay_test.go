package gateway

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// However much an attempt has read, and however its reads were cut, the next
// one reads the whole body, unless more than the limit was read.
func TestAReplayIsTheWholeBody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := bytes.Repeat([]byte("0123456789abcdef"), rapid.SampledFrom([]int{0, 1, 7, replayLimit / 16, replayLimit/16 + 1, replayLimit / 8}).Draw(t, "size"))
		var src io.Reader = bytes.NewReader(body)
		if rapid.Bool().Draw(t, "halves") {
			src = iotest.HalfReader(src)
		}
		b := newReplay(src, true)
		for range rapid.IntRange(1, 4).Draw(t, "attempts") {
			a := b.attempt()
			n := rapid.IntRange(0, len(body)).Draw(t, "read")
			got, err := io.ReadAll(io.LimitReader(a, int64(n)))
			if err != nil || !bytes.Equal(got, body[:n]) {
				t.Fatalf("read %d of %d: %v", len(got), n, err)
			}
			if !b.rewind() {
				if n <= replayLimit-32<<10 {
					t.Fatalf("%d bytes were read and could not be kept", n)
				}
				return
			}
			if n, err := a.Read(make([]byte, 1)); err == nil || n != 0 {
				t.Fatal("an attempt that is over still reads")
			}
		}
		if got, err := io.ReadAll(b.attempt()); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("the last attempt read %d bytes of %d: %v", len(got), len(body), err)
		}
	})
}

func TestAReadThatEndsAfterItsAttemptIsNotLost(t *testing.T) {
	src, feed := io.Pipe()
	b := newReplay(src, true)
	first := b.attempt()
	done := make(chan error, 1)
	go func() { _, err := first.Read(make([]byte, 10)); done <- err }()
	go func() { // after the first attempt asked, or else the second asks: both must do
		_, _ = feed.Write([]byte("hello "))
		_, _ = feed.Write([]byte("world"))
		_ = feed.Close()
	}()
	if !b.rewind() {
		t.Fatal("can't rewind")
	}
	got, err := io.ReadAll(b.attempt())
	if string(got) != "hello world" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	<-done
}
