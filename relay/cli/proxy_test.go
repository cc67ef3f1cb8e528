package cli

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// raw sends a request line as it stands, which no client library would.
func (r *running) raw(request string) (*http.Response, error) {
	r.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, request)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil {
		resp.Body.Close()
	}
	return resp, err
}

func TestProxyTakesThePathAsItIs(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)
	path := "/api/v1/connections/" + relay.expect(201, "POST", "/api/v1/connections", app.connection(nil)).text(t, "id") + "/proxy"
	for _, c := range []struct {
		name, path string
		status     int
		seen       string
	}{
		{"plain", "/orders/7", 200, "/api/orders/7"},
		{"encoded slash", "/orders/a%2Fb", 200, "/api/orders/a%2Fb"},
		{"encoded space and plus", "/a%20b+c", 200, "/api/a%20b+c"},
		{"double slash", "/orders//7", 200, "/api/orders//7"},
		{"trailing slash", "/orders/", 200, "/api/orders/"},
		{"query with what is reserved", "/orders?q=a%26b&&x=/../y", 200, "/api/orders?q=a%26b&&x=/../y"},
		{"climbs", "/../secret", 422, ""},
		{"climbs, encoded", "/%2e%2e/secret", 422, ""},
		{"climbs, encoded slash", "/..%2fsecret", 422, ""},
		{"no path", "", 200, "/api"},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp, err := relay.raw("GET " + path + c.path + " HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer " + bootstrapToken + "\r\nConnection: close\r\n\r\n")
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != c.status || resp.Header.Get("X-Seen-Uri") != c.seen {
				t.Errorf("%d, the application saw %q, want %d, %q", resp.StatusCode, resp.Header.Get("X-Seen-Uri"), c.status, c.seen)
			}
			if c.status == 422 && resp.Header.Get("Sallyport-Error") == "" {
				t.Error("no Sallyport-Error")
			}
		})
	}
}

func TestProxySendsAnyMethod(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)
	path := "/api/v1/connections/" + relay.expect(201, "POST", "/api/v1/connections", app.connection(nil)).text(t, "id") + "/proxy/pot"
	for method, status := range map[string]int{"GET": 200, "HEAD": 200, "POST": 200, "PUT": 200, "PATCH": 200, "DELETE": 200, "OPTIONS": 200, "BREW": 418} {
		if a := relay.call(method, path, ""); a.status != status || a.header.Get("Sallyport-Error") != "" {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
	}
}

func TestProxyNeedsTheTokenAndARoleThatMaySend(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)
	path := "/api/v1/connections/" + relay.expect(201, "POST", "/api/v1/connections", app.connection(nil)).text(t, "id") + "/proxy/me"
	relay.expect(401, "GET", path, "", "Authorization:")
	relay.expect(401, "GET", path, "", "Authorization: Bearer wrong")
	viewer := relay.expect(201, "POST", "/api/v1/tokens", `{"name":"watcher","role":"viewer"}`).text(t, "token")
	relay.expect(403, "GET", path, "", "Authorization: Bearer "+viewer)
}

func TestRequestsOverALimitAreRefusedInOurWords(t *testing.T) {
	relay, app := startRelay(t, "", "--max-request-body", "1KiB"), startApplication(t)
	path := "/api/v1/connections/" + relay.expect(201, "POST", "/api/v1/connections", app.connection(nil)).text(t, "id") + "/proxy/me"
	relay.expect(200, "GET", path, "", "X-Long:"+strings.Repeat("x", 60<<10))
	for _, a := range []answer{
		relay.expect(431, "GET", path, "", "X-Long:"+strings.Repeat("x", 65<<10)),
		relay.expect(413, "POST", path, strings.Repeat("x", 1025)),
	} {
		if a.text(t, "code") != "too_large" || a.text(t, "outcome") != "not_sent" || a.header.Get("Sallyport-Error") != "too_large" || a.text(t, "hint") == "" {
			t.Errorf("%v %s", a.header, a.body)
		}
	}
	relay.expect(431, "GET", path, "", "X-Long:"+strings.Repeat("x", 300<<10)) // in the server's own
}

func TestTargetThatIsDownIsA502OfOurs(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)
	path := "/api/v1/connections/" + relay.expect(201, "POST", "/api/v1/connections", app.connection(nil)).text(t, "id") + "/proxy/me"
	app.Close()
	a := relay.expect(502, "GET", path, "")
	if a.header.Get("Sallyport-Error") != "target_refused" || a.text(t, "outcome") != "not_sent" || a.text(t, "requestId") != a.header.Get("X-Request-Id") {
		t.Errorf("%v %s", a.header, a.body)
	}
}
