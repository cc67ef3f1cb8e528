package cli

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/agent/config"
	"sallyport/internal/testkit"
	"sallyport/proto"
)

// runAgent is the command run, until ctx ends.
func runAgent(ctx context.Context, w World, flags ...string) error {
	root := newRoot(w)
	root.SetArgs(append([]string{"run"}, flags...))
	root.SetErr(w.Err)
	return root.ExecuteContext(ctx)
}

func TestFirstStartExchangesTheCodeAndLaterOnesPassOverIt(t *testing.T) {
	var enrolled, tunnels atomic.Int32
	relay := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case proto.EnrollPath:
			enrolled.Add(1)
			enrolment(w, r)
		case proto.TunnelPath:
			tunnels.Add(1)
			http.NotFound(w, r)
		}
	}))
	defer relay.Close()
	data := filepath.Join(t.TempDir(), "data")
	said := &testkit.Log{}
	w := World{Err: said, Env: func(name string) (string, bool) {
		v, ok := map[string]string{"SALLYPORT_RELAY": relay.URL, "SALLYPORT_DATA": data, "SALLYPORT_CODE": "GOOD", "SALLYPORT_PROXY": "none"}[name]
		return v, ok
	}}
	for range 2 {
		before := tunnels.Load()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- runAgent(ctx, w) }()
		testkit.Eventually(t, 20*time.Second, "the agent asks for a tunnel", func() error {
			if tunnels.Load() == before {
				return context.DeadlineExceeded
			}
			return nil
		})
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	if n := enrolled.Load(); n != 1 {
		t.Errorf("the code was used %d times", n)
	}
	if _, err := os.Stat(filepath.Join(data, config.IdentityFile)); err != nil {
		t.Error(err)
	}
	if strings.Contains(said.String(), "GOOD") {
		t.Errorf("the log shows the code: %s", said)
	}
}

func TestFirstStartWithoutACodeSaysWhatToDo(t *testing.T) {
	w := World{Err: &testkit.Log{}, Env: func(string) (string, bool) { return "", false }}
	if err := runAgent(t.Context(), w, "--data", t.TempDir()); err == nil || !strings.Contains(err.Error(), "sallyport-agent enroll") {
		t.Errorf("%v", err)
	}
}
