package logging

import (
	"bytes"
	"strings"
	"sync"
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
