package road_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"sallyport/relay/connection"
	"sallyport/relay/road"
)

// guard is an application with Digest authentication of which a test decides
// when nonces end. It proves what is sent, and counts what it acts on.
type guard struct {
	*httptest.Server
	mu       sync.Mutex // guards the following
	nonce    string
	next     string // to be named in Authentication-Info
	counts   map[string]bool
	asked    int      // answers that are challenges
	bodies   []string // that it acted on
	received []string // method and length of all requests
}

func newGuard(t *testing.T) *guard {
	g := &guard{nonce: "n1", counts: map[string]bool{}}
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

var parameter = regexp.MustCompile(`(\w+)="?([^",]+)"?`)

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.received = append(g.received, fmt.Sprint(r.Method, " ", r.ContentLength))
	p := map[string]string{}
	for _, m := range parameter.FindAllStringSubmatch(r.Header.Get("Authorization"), -1) {
		p[m[1]] = m[2]
	}
	hash := func(parts ...string) string {
		sum := sha256.Sum256([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(sum[:])
	}
	want := hash(hash("svc", "erp", "p:ss"), p["nonce"], p["nc"], p["cnonce"], "auth", hash(r.Method, r.URL.RequestURI()))
	known := p["nonce"] == g.nonce
	if !known || p["response"] != want || p["uri"] != r.URL.RequestURI() || g.counts[p["nonce"]+p["nc"]] {
		g.asked++
		stale := ""
		if p["response"] == want && !known {
			stale = ", stale=true"
		}
		w.Header().Add("WWW-Authenticate", `Digest realm="erp", nonce="x", algorithm=MD5, qop="auth"`)
		w.Header().Add("WWW-Authenticate", `Digest realm="erp", nonce="`+g.nonce+`", algorithm=SHA-256, qop="auth-int, auth"`+stale)
		w.Header().Add("WWW-Authenticate", `Basic realm="erp"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	g.counts[p["nonce"]+p["nc"]] = true
	body, _ := io.ReadAll(r.Body)
	if r.Method != http.MethodHead {
		g.bodies = append(g.bodies, string(body))
	}
	if g.next != "" {
		w.Header().Set("Authentication-Info", `qop=auth, nextnonce="`+g.next+`", nc=`+p["nc"])
		g.nonce, g.next = g.next, ""
	}
}

func (g *guard) connection(password string) *connection.Connection {
	return &connection.Connection{ID: "con_1", Secrets: map[string]string{"password": password}, Spec: connection.Spec{
		Mode: connection.Cloud, BaseURI: g.URL + "/api?tenant=7",
		Auth: connection.Auth{Type: connection.AuthDigest, Digest: &connection.DigestAuth{Username: "svc", Password: "{{secret.password}}"}},
	}}
}

// onceOnly is a body that can be read once.
type onceOnly struct{ io.Reader }

func roundTrip(t *testing.T, rt http.RoundTripper, method, url string, body io.Reader) int {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func TestDigestAsksOncePerNonce(t *testing.T) {
	g := newGuard(t)
	roads := road.New(cloud(t), nil)
	c := g.connection("p:ss")
	for i := range 3 {
		if status := roundTrip(t, roads.For(c), "POST", g.URL+"/api/a%2Fb?tenant=7", strings.NewReader("hello")); status != 200 {
			t.Fatalf("request %d: %d", i, status)
		}
	}
	if g.asked != 1 || len(g.bodies) != 3 || g.bodies[2] != "hello" {
		t.Errorf("asked %d times, acted on %q", g.asked, g.bodies)
	}
	g.next = "n2"
	for range 2 {
		roundTrip(t, roads.For(c), "GET", g.URL+"/api", nil)
	}
	if g.asked != 1 {
		t.Error("the next nonce was not used")
	}
	g.nonce = "n3" // the old one is stale
	if status := roundTrip(t, roads.For(c), "POST", g.URL+"/api", strings.NewReader("again")); status != 200 || g.asked != 2 || g.bodies[len(g.bodies)-1] != "again" {
		t.Errorf("%d after a stale nonce, asked %d times", status, g.asked)
	}
}

func TestABodyThatCannotBeSentAgainWaitsForTheChallenge(t *testing.T) {
	g := newGuard(t)
	roads := road.New(cloud(t), nil)
	c := g.connection("p:ss")
	if status := roundTrip(t, roads.For(c), "POST", g.URL+"/api", onceOnly{strings.NewReader("big")}); status != 200 || len(g.bodies) != 1 || g.bodies[0] != "big" {
		t.Errorf("%d, acted on %q", status, g.bodies)
	}
	if got := strings.Join(g.received, ", "); got != "HEAD 0, HEAD 0, POST -1" {
		t.Errorf("received %s", got)
	}
	g.nonce = "n2"
	if status := roundTrip(t, roads.For(c), "PUT", g.URL+"/api", onceOnly{strings.NewReader("bigger")}); status != 200 || g.bodies[1] != "bigger" {
		t.Errorf("%d after a stale nonce, acted on %q", status, g.bodies)
	}
}

func TestAWrongPasswordIsProvedOnceForEachRequest(t *testing.T) {
	g := newGuard(t)
	roads := road.New(cloud(t), nil)
	for range 2 {
		if status := roundTrip(t, roads.For(g.connection("wrong")), "GET", g.URL+"/api", nil); status != 401 {
			t.Fatalf("answered %d", status)
		}
	}
	if len(g.received) != 4 {
		t.Errorf("%d requests for two", len(g.received))
	}
	// The right one is another connection, as far as nonces go.
	if status := roundTrip(t, roads.For(g.connection("p:ss")), "GET", g.URL+"/api", nil); status != 200 {
		t.Errorf("answered %d", status)
	}
}

func TestNobodyElseGetsAProof(t *testing.T) {
	var got []string
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization"))
		w.Header().Set("WWW-Authenticate", `Digest realm="erp", nonce="evil", qop="auth"`)
		w.WriteHeader(401)
	})
	g := newGuard(t)
	c := g.connection("p:ss")
	rt := road.New(cloud(t), nil).For(c)
	roundTrip(t, rt, "GET", g.URL+"/api", nil)
	if status := roundTrip(t, rt, "GET", other.URL, nil); status != 401 || len(got) != 1 || got[0] != "" {
		t.Errorf("answered %d, sent %q", status, got)
	}
}

func TestManyRequestsShareANonce(t *testing.T) {
	g := newGuard(t)
	roads := road.New(cloud(t), nil)
	c := g.connection("p:ss")
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			req, _ := http.NewRequest("GET", g.URL+"/api", nil)
			resp, err := roads.For(c).RoundTrip(req)
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
			if resp.StatusCode != 200 {
				t.Errorf("answered %d", resp.StatusCode)
			}
		})
	}
	all.Wait()
	if len(g.bodies) != 20 {
		t.Errorf("acted on %d", len(g.bodies))
	}
}
