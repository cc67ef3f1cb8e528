package edge

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func wrapped(t *testing.T, next http.HandlerFunc, change func(*Options)) (http.Handler, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	o := Options{Log: zap.New(core), Clock: time.Now}
	if change != nil {
		change(&o)
	}
	h, err := Wrap(next, o)
	if err != nil {
		t.Fatal(err)
	}
	return h, logs
}

func TestRequestIDIsTakenFromOutsideOnlyIfItCanBeOne(t *testing.T) {
	var inside string
	h, _ := wrapped(t, func(w http.ResponseWriter, r *http.Request) { inside = RequestID(r.Context()) }, nil)
	for _, c := range []struct {
		name, sent string
		kept       bool
	}{
		{"none", "", false},
		{"a UUID", "0198a2b4-77aa-7cde-9a51-0242ac120002", true},
		{"of another system's form", "Root=1-67891233/abcdef", true},
		{"64 characters", strings.Repeat("a", 64), true},
		{"65 characters", strings.Repeat("a", 65), false},
		{"with a line break", "a\nlevel=error", false},
		{"with a space", "a b", false},
		{"not ASCII", "ä", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header["X-Request-Id"] = []string{c.sent}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			got := w.Header().Get("X-Request-Id")
			if got == "" || got != inside {
				t.Fatalf("answered with %q, handled with %q", got, inside)
			}
			if (got == c.sent) != c.kept {
				t.Errorf("sent %q, got %q", c.sent, got)
			}
		})
	}
}

func TestClientAddressIsBelievedFromTrustedProxiesAlone(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"straight", "203.0.113.9:4000", nil, "203.0.113.9:4000"},
		{"stranger claims", "203.0.113.9:4000", []string{"198.51.100.1"}, "203.0.113.9:4000"},
		{"one proxy", "10.0.0.1:4000", []string{"198.51.100.1"}, "198.51.100.1"},
		{"client forged the first", "10.0.0.1:4000", []string{"1.1.1.1, 198.51.100.1"}, "198.51.100.1"},
		{"two proxies, two lines", "10.0.0.1:4000", []string{"198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{"nonsense", "10.0.0.1:4000", []string{"unknown"}, "10.0.0.1:4000"},
		{"IPv6", "10.0.0.1:4000", []string{"[2001:db8::1]:99"}, "2001:db8::1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = c.peer
			for _, line := range c.forwarded {
				r.Header.Add("X-Forwarded-For", line)
			}
			if got := clientAddress(r, trusted); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestAccessLogLeavesTheQueryOut(t *testing.T) {
	h, logs := wrapped(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) }, nil)
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/a?token=hunter2", nil))
	lines := logs.FilterMessage("request").All()
	if len(lines) != 1 {
		t.Fatalf("%d lines", len(lines))
	}
	fields := lines[0].ContextMap()
	if fields["path"] != "/a" || fields["status"] != int64(http.StatusTeapot) {
		t.Errorf("fields %v", fields)
	}
	for name, value := range fields {
		if s, ok := value.(string); ok && strings.Contains(s, "hunter2") {
			t.Errorf("%s shows the query", name)
		}
	}
}

func TestPanicIsA500AndLogged(t *testing.T) {
	h, logs := wrapped(t, func(http.ResponseWriter, *http.Request) { panic("no such luck") }, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "luck") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if logs.FilterLevelExact(zap.ErrorLevel).Len() != 1 {
		t.Error("not logged as an error")
	}
}

func TestChangeFromAnotherSitesPageIsRefused(t *testing.T) {
	reached := false
	h, _ := wrapped(t, func(http.ResponseWriter, *http.Request) { reached = true }, func(o *Options) {
		o.Refused = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusForbidden) })
	})
	r := httptest.NewRequest("POST", "/api/v1/connections", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden || reached {
		t.Errorf("%d, reached %v", w.Code, reached)
	}
}

func TestHeaderOverItsLimitIsRefused(t *testing.T) {
	reached := 0
	h, logs := wrapped(t, func(http.ResponseWriter, *http.Request) { reached++ }, func(o *Options) {
		o.MaxHeader = 1000
		o.TooLarge = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
		})
	})
	for _, c := range []struct{ lines, length, want int }{{1, 900, 200}, {1, 1100, 431}, {20, 50, 431}, {9, 50, 200}} {
		r := httptest.NewRequest("GET", "/", nil)
		for range c.lines {
			r.Header.Add("X-Long", strings.Repeat("x", c.length))
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want || (c.want == 431) != (w.Header().Get("Connection") == "close") {
			t.Errorf("%d lines of %d: %d, header %v", c.lines, c.length, w.Code, w.Header())
		}
	}
	if reached != 2 || logs.FilterMessage("request").Len() != 4 {
		t.Errorf("%d got through, %d lines", reached, logs.Len())
	}
}

func TestStreamedAnswerIsFlushedThroughTheEdge(t *testing.T) {
	release := make(chan struct{})
	h, _ := wrapped(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("first"))
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-release
	}, nil)
	server := httptest.NewServer(h)
	defer server.Close()
	defer close(release)
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 5)
	if _, err := resp.Body.Read(buf); err != nil || string(buf) != "first" {
		t.Errorf("%q, %v", buf, err)
	}
}
