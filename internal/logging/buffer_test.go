package logging

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
)

// output is a log's output that is read while it is written.
type output struct {
	mu     sync.Mutex
	text   bytes.Buffer
	writes int
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writes++
	return o.text.Write(p)
}

func (o *output) read() (string, int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.writes
}

func TestLinesGather(t *testing.T) {
	defer goleak.VerifyNone(t)
	out := &output{}
	buffer := Buffered(out)
	log, _, err := New(Options{Output: buffer})
	if err != nil {
		t.Fatal(err)
	}
	log = log.Named("room").With(zap.Int("n", 1))
	for range 100 {
		log.Info("request served")
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		text, writes := out.read()
		if strings.Count(text, "\n") == 100 {
			if writes > 10 {
				t.Errorf("%d writes for 100 lines", writes)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("lines wait for ever; have\n%s", text)
		}
		time.Sleep(10 * time.Millisecond)
	}

	log.Info("before")
	log.Warn("look here")
	if text, _ := out.read(); !strings.Contains(text, `"msg":"before"`) || !strings.HasSuffix(text, "\"msg\":\"look here\",\"n\":1}\n") {
		t.Errorf("a warning waits; the log ends with %q", text[max(0, len(text)-200):])
	}

	log.Info("last words")
	if err := buffer.Close(); err != nil {
		t.Fatal(err)
	}
	if text, _ := out.read(); !strings.Contains(text, "last words") {
		t.Error("closing loses lines")
	}
}

// stuckOutput takes nothing until it is freed, as a full pipe does.
type stuckOutput struct {
	output
	entered chan struct{}
	free    chan struct{}
}

func (o *stuckOutput) Write(p []byte) (int, error) {
	select {
	case o.entered <- struct{}{}:
	default:
	}
	<-o.free
	return o.output.Write(p)
}

func TestWhoLogsNeverWaitsForTheOutput(t *testing.T) {
	defer goleak.VerifyNone(t)
	out := &stuckOutput{entered: make(chan struct{}, 1), free: make(chan struct{})}
	buffer := Buffered(out)
	log, _, err := New(Options{Output: buffer})
	if err != nil {
		t.Fatal(err)
	}
	log.Warn("the first")
	<-out.entered
	began := time.Now()
	text := strings.Repeat("x", 1000)
	for range 3000 { // three times what may wait
		log.Warn(text)
	}
	if took := time.Since(began); took > 5*time.Second { // a warning that waits does so for 100 ms: five minutes
		t.Errorf("3000 warnings took %v", took)
	}
	lost := buffer.Lost()
	if lost < 1000 {
		t.Errorf("%d lines were dropped: the rest is kept in memory", lost)
	}
	close(out.free)
	deadline := time.Now().Add(10 * time.Second)
	for { // until what waits has been written
		if log.Info("after"); strings.Contains(read(out), "lines dropped") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody says that lines are missing")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := buffer.Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(out); strings.Count(got, text)+int(lost) != 3000 || !strings.Contains(got, fmt.Sprintf(`"lines":%d}`, lost)) {
		t.Errorf("%d of 3000 lines are there, %d dropped", strings.Count(got, text), lost)
	}
}

func read(o *stuckOutput) string { text, _ := o.read(); return text }

// fullDisk fails to write while it is full.
type fullDisk struct {
	output
	full atomic.Bool
}

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.full.Load() {
		return 0, syscall.ENOSPC
	}
	return d.output.Write(p)
}

func TestFullDiskIsSaidOnceThereIsRoom(t *testing.T) {
	defer goleak.VerifyNone(t)
	disk := &fullDisk{}
	disk.full.Store(true)
	buffer := Buffered(disk)
	log, _, err := New(Options{Output: buffer})
	if err != nil {
		t.Fatal(err)
	}
	log.Warn("lost")
	log.Warn("lost too")
	if n := buffer.Lost(); n != 2 {
		t.Errorf("%d lines were lost, want 2", n)
	}
	disk.full.Store(false)
	log.Warn("kept")
	if err := buffer.Close(); err != nil {
		t.Fatal(err)
	}
	if text, _ := disk.read(); !strings.Contains(text, `"lines":2}`) || !strings.Contains(text, "kept") {
		t.Errorf("the log is %q", text)
	}
}

func TestStuckOutputDoesNotKeepTheProgramFromEnding(t *testing.T) {
	out := &stuckOutput{entered: make(chan struct{}, 1), free: make(chan struct{})}
	buffer := Buffered(out)
	_, _ = buffer.Write([]byte("line\n"))
	if err := buffer.Close(); !errors.Is(err, errStuck) {
		t.Errorf("Close: %v", err)
	}
	close(out.free)
	<-buffer.ended
}
