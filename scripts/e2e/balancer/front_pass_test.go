//go:build unix

package balancer

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// idle is the idle time-out of the balancers here, in seconds; that of the docs
// is a minute. A heartbeat passes every 4.
const idle = 6

// application is what the agent reaches.
type application struct {
	events chan string   // what /events sends next
	silent chan struct{} // closed when /silent may answer
}

func (a *application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/echo":
		sum := sha256.New()
		n, _ := io.Copy(sum, r.Body)
		fmt.Fprintf(w, "%s %d %s", r.Method, n, hex.EncodeToString(sum.Sum(nil)))
	case "/file":
		sum := sha256.New()
		w.Header().Set("Trailer", "")
		chunk := make([]byte, 1<<20)
		for range 40 {
			rand.Read(chunk)
			sum.Write(chunk)
			_, _ = w.Write(chunk)
		}
		_, _ = w.Write(sum.Sum(nil))
	case "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			select {
			case text := <-a.events:
				fmt.Fprintf(w, "data: %s\n\n", text)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	case "/silent":
		select {
		case <-a.silent:
		case <-r.Context().Done():
		}
	case "/teapot":
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "the application's own")
	default:
		_, _ = io.WriteString(w, "here")
	}
}

func TestRelayBehindALoadBalancer(t *testing.T) {
	for name, start := range fronts {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of the time it waits
			app := &application{events: make(chan string), silent: make(chan struct{})}
			s := newStage(t, start, idle, "", app)
			t.Run("requests and bodies pass", s.bodiesPass)
			t.Run("events pass as they happen", func(t *testing.T) { s.eventsPass(t, app.events) })
			t.Run("the client's address is believed from the balancer alone", s.clientAddress)
			t.Run("the balancer's own errors are told from ours", s.errorsAreToldApart)
			t.Run("heartbeats keep tunnels past the idle time-out", s.tunnelsStay)
			t.Run("a reload fails no request", s.reloadFailsNothing)
			t.Run("the agent comes back when the relay does", s.agentComesBack)
		})
	}
}

func (s *stage) bodiesPass(t *testing.T) {
	const size = 40 << 20
	sum := sha256.New()
	upload := s.request("POST", "/echo", io.TeeReader(io.LimitReader(rand.Reader, size), sum))
	upload.ContentLength = size
	if a, want := s.send(upload), fmt.Sprintf("POST %d ", size); a.StatusCode != 200 || !strings.HasPrefix(a.body, want) || !strings.HasSuffix(a.body, hex.EncodeToString(sum.Sum(nil))) {
		t.Errorf("upload: %s %.100s", a.Status, a.body)
	}
	a := s.send(s.request("GET", "/file", nil))
	body := []byte(a.body)
	if a.StatusCode != 200 || len(body) != 40<<20+sha256.Size {
		t.Fatalf("download: %s, %d bytes", a.Status, len(body))
	}
	if got := sha256.Sum256(body[:40<<20]); string(got[:]) != a.body[40<<20:] {
		t.Error("download: other bytes")
	}
	if a := s.send(s.request("GET", "/a%2Fb//c?x=%20", nil)); a.StatusCode != 200 || a.body != "here" {
		t.Errorf("odd path: %s %s", a.Status, a.body)
	}
}

// eventsPass has an application send three events, of which none follows before
// the one ahead of it has arrived, and leaves.
func (s *stage) eventsPass(t *testing.T, events chan<- string) {
	t.Helper()
	req := s.request("GET", "/events", nil)
	begun := make(chan *http.Response, 1)
	go func() {
		resp, err := s.api.HTTP.Do(req)
		if err != nil {
			t.Error(err)
		}
		begun <- resp
	}()
	events <- "first" // with it comes the header of the answer
	resp := <-begun
	if resp == nil {
		return
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for _, want := range []string{"first", "second", "third"} {
		if want != "first" {
			events <- want
		}
		for lines.Scan() && lines.Text() == "" {
		}
		if lines.Text() != "data: "+want {
			t.Fatalf("got %q, %v; want %s", lines.Text(), lines.Err(), want)
		}
	}
}

func (s *stage) clientAddress(t *testing.T) {
	through := s.request("GET", "/", nil)
	through.Header.Set("X-Forwarded-For", "203.0.113.7") // forged
	through.Header.Set("X-Request-Id", "id-through-"+rand.Text())
	s.send(through)
	if got := s.relays[0].loggedClient(t, through.Header.Get("X-Request-Id")); got != "127.0.0.9" {
		t.Errorf("through the balancer: %q", got)
	}
	past := s.request("GET", "/", nil)
	past.URL.Scheme, past.URL.Host = "http", s.relays[0].address
	past.Header.Set("X-Forwarded-For", "203.0.113.7")
	past.Header.Set("X-Request-Id", "id-past-"+rand.Text())
	s.send(past)
	if got := s.relays[0].loggedClient(t, past.Header.Get("X-Request-Id")); !strings.HasPrefix(got, "127.0.0.9:") {
		t.Errorf("past the balancer, whom the relay does not trust: %q", got)
	}
}

func (s *stage) errorsAreToldApart(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		status int
		ours   string // Sallyport-Error
	}{
		{"the application's 502", func(r *http.Request) { r.URL.Path += "teapot" }, 502, ""},
		{"header fields that the balancer won't take", func(r *http.Request) { r.Header.Set("X-Large", strings.Repeat("x", 100<<10)) }, 400, ""},
		{"header fields that the relay takes", func(r *http.Request) { r.Header.Set("X-Large", strings.Repeat("x", 50<<10)) }, 200, ""},
		{"an application that is silent for longer than the balancer waits", func(r *http.Request) { r.URL.Path += "silent" }, 504, ""},
		{"no such connection", func(r *http.Request) { r.URL.Path = strings.Replace(r.URL.Path, s.id, "con_none", 1) }, 404, "not_found"},
	} {
		req := s.request("GET", "/", nil)
		c.change(req)
		a, err := s.try(req)
		if err != nil && c.status == 400 {
			continue // it closed while the header was still being written
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := a.Header.Get("Sallyport-Error"); a.StatusCode != c.status || got != c.ours {
			t.Errorf("%s: %s, Sallyport-Error %q, %.200s", c.name, a.Status, got, a.body)
		}
	}
}

func (s *stage) tunnelsStay(t *testing.T) {
	before := s.downs()
	wait(t, (idle+3)*time.Second)
	if n := s.downs(); n != before {
		t.Errorf("%d tunnels went down:\n%s", n-before, strings.Join(s.agent.Log().Lines(`"tunnel down"`), "\n"))
	}
	if a := s.send(s.request("GET", "/", nil)); a.body != "here" {
		t.Errorf("afterwards: %s %s", a.Status, a.body)
	}
}

func (s *stage) reloadFailsNothing(t *testing.T) {
	// A connection that is kept alive may be closed in the very moment in which
	// the next request leaves. That is HTTP, and not the balancer's fault.
	each := &http.Client{Transport: s.api.HTTP.Transport.(*http.Transport).Clone()}
	each.Transport.(*http.Transport).DisableKeepAlives = true
	load := s.load(t, each, 4)
	load.await(t, 40)
	s.front.reload(t)
	load.await(t, 40)
	load.stop(t)
}

func (s *stage) agentComesBack(t *testing.T) {
	r := s.relays[0]
	downs := s.downs()
	if err := r.process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-r.process.Done()
	testkit.Eventually(t, patience, "the agent notices", func() error {
		if n := s.downs() - downs; n < 2 {
			return fmt.Errorf("%d tunnels are down", n)
		}
		return nil
	})
	if a := s.send(s.request("POST", "/echo", strings.NewReader("x"))); a.StatusCode/100 != 5 || a.Header.Get("Sallyport-Error") != "" {
		t.Errorf("while the relay is down: %s %v %s", a.Status, a.Header, a.body)
	}
	testkit.Eventually(t, patience, "the agent says what is in the way", func() error {
		for _, said := range []string{"the relay behind it is not", "asks to come back later"} {
			if len(s.agent.Log().Lines("relay not reached", said)) > 0 {
				return nil
			}
		}
		return fmt.Errorf("it says %s", s.agent.Log().Tail(3))
	})
	s.start(r)
	s.awaitTunnels(2)
	testkit.Eventually(t, patience, "requests pass again", func() error {
		if a := s.send(s.request("GET", "/", nil)); a.body != "here" {
			return fmt.Errorf("%s %s", a.Status, a.body)
		}
		return nil
	})
}
