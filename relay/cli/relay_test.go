package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bootstrapToken = "bootstrap-token-for-tests"

// noteBook collects what is written, from any goroutine.
type noteBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (n *noteBook) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(p)
}

func (n *noteBook) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

// running is a relay that runs in this process as the command would run it.
type running struct {
	t        *testing.T
	url      string
	data     string
	out, log *noteBook
	client   *http.Client
	stop     func() int // ends it as a signal does, and returns the exit status
}

// startRelay runs serve on a free port until the test ends.
func startRelay(t *testing.T, data string, flags ...string) *running {
	t.Helper()
	return startRelayWith(t, map[string]string{"SALLYPORT_BOOTSTRAP_TOKEN": bootstrapToken}, data, flags...)
}

func startRelayWith(t *testing.T, env map[string]string, data string, flags ...string) *running {
	t.Helper()
	if data == "" {
		data = filepath.Join(t.TempDir(), "data")
	}
	r := &running{t: t, data: data, out: &noteBook{}, log: &noteBook{}, client: &http.Client{
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	ctx, cancel := context.WithCancel(context.Background())
	exit := make(chan int, 1)
	args := append([]string{"serve", "--listen", "127.0.0.1:0", "--data", data, "--log-level", "debug",
		"--drain-timeout", "5s", "--allow-private-targets", "loopback"}, flags...)
	go func() { exit <- run(ctx, args, outside{out: r.out, err: r.log, env: lookUp(env)}) }()
	var once sync.Once
	status := -1
	r.stop = func() int {
		once.Do(func() {
			r.client.CloseIdleConnections()
			cancel()
			status = <-exit
		})
		return status
	}
	t.Cleanup(func() { r.stop() })
	deadline := time.After(20 * time.Second)
	for r.url == "" {
		if line, ok := lineWith(r.out.String(), "Sallyport is running at "); ok {
			r.url = strings.TrimPrefix(line, "Sallyport is running at ")
			break
		}
		select {
		case status = <-exit:
			exit <- status
			t.Fatalf("the relay ended with status %d: %s", status, r.log)
		case <-deadline:
			t.Fatalf("the relay did not start: %s", r.log)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return r
}

func lookUp(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}
}

func lineWith(text, part string) (string, bool) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) && strings.HasSuffix(line, "\n") {
			return strings.TrimSpace(line), true
		}
	}
	return "", false
}

// answer is an answer of the relay, read whole.
type answer struct {
	status int
	header http.Header
	body   string
}

// json is the value at a path of the body, such as items.0.name.
func (a answer) json(t *testing.T, path string) any {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(a.body), &value); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	for part := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[part]
		case []any:
			var i int
			if _, err := fmt.Sscan(part, &i); err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// whole is all of the body.
func (a answer) whole(t *testing.T) (value any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &value); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return value
}

func (a answer) text(t *testing.T, path string) string {
	t.Helper()
	s, _ := a.json(t, path).(string)
	return s
}

// call sends a request with the bootstrap token. Further arguments are header
// fields, as "Name: value"; "Authorization:" alone leaves the token out.
func (r *running) call(method, path, body string, fields ...string) answer {
	r.t.Helper()
	req, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+bootstrapToken)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ":")
		if value = strings.TrimSpace(value); value == "" {
			req.Header.Del(name)
		} else {
			req.Header.Set(name, value)
		}
	}
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: string(text)}
}

// expect is call, and the test ends where the status is another.
func (r *running) expect(status int, method, path, body string, fields ...string) answer {
	r.t.Helper()
	a := r.call(method, path, body, fields...)
	if a.status != status {
		r.t.Fatalf("%s %s: %d, want %d: %s", method, path, a.status, status, a.body)
	}
	return a
}
