package tunnel

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport/agent/link"
)

// counting counts the streams that are served.
func counting(serve func(context.Context, net.Conn), streams *atomic.Int32) func(context.Context, net.Conn) {
	return func(ctx context.Context, stream net.Conn) {
		streams.Add(1)
		serve(ctx, stream)
	}
}

// never is the rest of a body that does not come.
type never struct{ context.Context }

func (n *never) Read([]byte) (int, error) {
	<-n.Done()
	return 0, n.Err()
}

// TestRequestsFollowOneAnotherOnAStream: a stream is opened for the first
// request and carries the later ones, unless one has left it unfit.
func TestRequestsFollowOneAnotherOnAStream(t *testing.T) {
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/unread":
			w.Header().Set("Connection", "close")
		case "/half":
			w.Header().Set("Content-Length", "9")
			_, _ = io.WriteString(w, "half")
		case "/long":
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		default:
			body, _ := io.ReadAll(r.Body)
			_, _ = w.Write(body)
		}
	})
	r := newRelay(t, false)
	var streams atomic.Int32
	r.agent(r.dir.enrol("agt_1", "ins_1"), counting(forwarding(t), &streams), func(o *link.Options) { o.Tunnels = 1 })
	r.awaitTunnels(1)

	echo := func(method, text string, body io.Reader) {
		t.Helper()
		resp, err := r.send(t.Context(), method, app.URL, body)
		if got := mustRead(t, resp, err); got != text {
			t.Errorf("%s: %.40q came back (%d bytes), want %.40q", method, got, len(got), text)
		}
	}
	opened := func(want int32, after string) {
		t.Helper()
		if got := streams.Load(); got != want {
			t.Errorf("%s: %d streams were opened, want %d", after, got, want)
		}
	}
	for range 10 {
		echo("GET", "", nil)
		echo("POST", "hello", strings.NewReader("hello"))
	}
	opened(1, "after short requests")

	long := strings.Repeat("long ", 100_000)
	for range 3 {
		echo("PUT", long, io.MultiReader(strings.NewReader(long)))
		echo("GET", "", nil)
	}
	was := streams.Load() // a body's end may be seen too late to say that the stream is of use
	if was > 4 {
		t.Errorf("%d streams were opened, for streamed bodies too", was)
	}

	resp, err := r.send(t.Context(), "PUT", app.URL+"/unread", io.MultiReader(strings.NewReader(long), &never{t.Context()}))
	if err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, resp, nil); got != "" {
		t.Errorf("%q", got)
	}
	echo("GET", "", nil)
	opened(was+1, "after a body that was left unread")

	resp, err = r.send(t.Context(), "GET", app.URL+"/half", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("half an answer was taken for a whole one")
	}
	echo("GET", "", nil)
	opened(was+2, "after an answer that broke off")

	resp, err = r.send(t.Context(), "GET", app.URL+"/long", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	echo("GET", "", nil)
	opened(was+3, "after an answer that nobody waited for")

	ctx, cancel := context.WithCancel(t.Context())
	for range 10 {
		resp, err := r.send(ctx, "GET", app.URL, nil)
		mustRead(t, resp, err)
	}
	cancel() // what ended before must not take the stream with it
	echo("GET", "", nil)
	opened(was+3, "after a caller who left when all was done")
}
