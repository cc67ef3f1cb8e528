package outbound

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"sallyport/internal/testkit"
	"sallyport/proto"
)

// strict is a judge that forbids some addresses and notes what it was asked.
type strict struct {
	class   Class
	forbids []string

	mu    sync.Mutex
	asked []string
}

func (s *strict) Class() Class { return s.class }

func (s *strict) Address(addr netip.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, addr.String())
	if slices.Contains(s.forbids, addr.String()) {
		return &proto.Error{Code: proto.CodePolicyDenied, Outcome: proto.OutcomeNotSent, Detail: "Not " + addr.String() + ".", Hint: "Allow it."}
	}
	return nil
}

func judged(t *testing.T, j Judge, url string) *http.Request {
	t.Helper()
	req := request(t, "GET", url, "")
	return req.WithContext(WithJudge(req.Context(), j))
}

func TestForbiddenAddressIsNotConnectedTo(t *testing.T) {
	var reached atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer server.Close()
	j := &strict{forbids: []string{"127.0.0.1", "::1"}}
	tr := transport(t, Options{})
	for _, url := range []string{server.URL, strings.Replace(server.URL, "127.0.0.1", "localhost", 1)} {
		e := mustFail(t, tr, judged(t, j, url))
		expect{proto.CodePolicyDenied, "", proto.OutcomeNotSent, nil, []string{"Not "}}.check(t, e)
	}
	if reached.Load() != 0 {
		t.Error("the server was reached")
	}
}

// A name with a forbidden and an allowed address is reached at the latter.
func TestAnotherAddressOfTheNameWillDo(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	resolver := testkit.Resolver(t, func(q dnsmessage.Question) (dnsmessage.RCode, []string) {
		if q.Type != dnsmessage.TypeA {
			return dnsmessage.RCodeSuccess, nil
		}
		return dnsmessage.RCodeSuccess, []string{"127.0.0.9", "127.0.0.1"}
	})
	j := &strict{forbids: []string{"127.0.0.9"}}
	resp, err := transport(t, Options{Resolver: resolver}).RoundTrip(judged(t, j, "http://erp.test:"+port))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if !slices.Contains(j.asked, "127.0.0.1") {
		t.Errorf("asked of %v", j.asked)
	}
}

// A connection that one class opened is not used by another, over TLS with
// HTTP/2 as little as in plain text; and later rules leave none of the earlier.
func TestClassesShareNoConnections(t *testing.T) {
	for name, start := range map[string]func(*httptest.Server){"http": (*httptest.Server).Start, "h2": func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() }} {
		t.Run(name, func(t *testing.T) {
			var opened atomic.Int32
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
			server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
				if s == http.StateNew {
					opened.Add(1)
				}
			}
			start(server)
			defer server.Close()
			o := Options{}
			if name == "h2" {
				o.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
			}
			tr := transport(t, o)
			send := func(class Class) {
				t.Helper()
				resp, err := tr.RoundTrip(judged(t, &strict{class: class}, server.URL))
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			one, other := Class{Generation: 1}, Class{Generation: 1, Rules: [4]uint64{0, 1}}
			for _, step := range []struct {
				class Class
				want  int32
			}{{one, 1}, {one, 1}, {other, 2}, {one, 2}, {other, 2}, {Class{}, 3}, {Class{Generation: 2}, 4}, {one, 5}} {
				if send(step.class); opened.Load() != step.want {
					t.Fatalf("after %v: %d connections were opened, want %d", step.class, opened.Load(), step.want)
				}
			}
			e := mustFail(t, tr, judged(t, &strict{class: Class{Generation: 3}, forbids: []string{"127.0.0.1"}}, server.URL))
			if e.Code != proto.CodePolicyDenied {
				t.Errorf("got %v", e)
			}
		})
	}
}

func TestClassesThatComeAndGoAreBounded(t *testing.T) {
	tr := transport(t, Options{})
	for i := range uint64(100) {
		tr.kept.of(WithJudge(t.Context(), &strict{class: Class{Rules: [4]uint64{i}}}), HostTLS{}, false)
	}
	if n := len(tr.kept.classes); n != maxClasses {
		t.Errorf("%d pools are kept, want %d", n, maxClasses)
	}
}

// What the giver of a body says is wrong with it is what the caller is told.
func TestBodyMayRefuseToGoOn(t *testing.T) {
	for name, server := range map[string]*httptest.Server{"http": httptest.NewServer(drain{}), "h2": h2(drain{})} {
		t.Run(name, func(t *testing.T) {
			defer server.Close()
			o := Options{}
			if server.TLS != nil {
				o.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
			}
			req := request(t, "POST", server.URL, "")
			req.Body, req.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("some", 64<<10)), overlong{})), -1
			e := mustFail(t, transport(t, o), req)
			expect{proto.CodeTooLarge, "", proto.OutcomeUnknown, nil, []string{"overlong"}}.check(t, e)
		})
	}
}

type overlong struct{}

func (overlong) Read([]byte) (int, error) {
	return 0, &proto.Error{Code: proto.CodeTooLarge, Detail: "The body is overlong.", Hint: "Send less."}
}

type drain struct{}

func (drain) ServeHTTP(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }

func h2(h http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{}
	server.StartTLS()
	return server
}
