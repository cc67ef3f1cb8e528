package probe

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/outbound"
	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/hub"
)

// Each case is a real cause: a server that behaves so, tested over the real
// road, sign-in and jar.
func TestHints(t *testing.T) {
	ca := newAuthority(t, "Plant 2 Root CA")
	now := time.Now()
	loop := net.IPv4(127, 0, 0, 1)
	good := workingApp
	ping := func(h http.HandlerFunc) app { a := good(); a.ping = h; return a }
	signIn := func(h http.HandlerFunc) app { a := good(); a.signIn = h; return a }
	cookie := func(c http.Cookie) app { a := good(); a.cookie = c; return a }
	same := func(*connection.Connection) {}
	onPremise := func(c *connection.Connection) { c.Mode, c.AgentID = connection.OnPremise, "agt_1" }
	path := func(p string, values ...string) func(*connection.Connection) {
		return func(c *connection.Connection) { c.Ping.SuccessPath, c.Ping.SuccessValues = p, values }
	}
	basic := func(c *connection.Connection) {
		c.Auth = connection.Auth{Type: connection.AuthBasic, Basic: &connection.BasicAuth{Username: "svc", Password: "{{secret.password}}"}}
	}
	html := func(page string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte(page))
		}
	}
	tests := []struct {
		name   string
		app    http.Handler
		change func(*connection.Connection)
		step   string
		code   string
		id     string
		want   []string
		fix    string // "field=value", or ""
	}{
		// the value
		{"found True, expected true", ping(answerJSON(`{"ok":"True"}`)), same, StepPing, "", "value-case", []string{"Found “True”, expected “true”"}, "ping.successValues[0]=True"},
		{"found a blank before true", ping(answerJSON(`{"ok":" true"}`)), same, StepPing, "", "value-blank", []string{"Found “ true”"}, "ping.successValues[0]= true"},
		{"quotes in the form", ping(answerJSON(`{"ok":"yes"}`)), path("ok", "no", `"yes"`), StepPing, "", "value-quotes", []string{"without quotes"}, "ping.successValues[1]=yes"},
		{"a number written differently", ping(answerJSON(`{"ok":12.50}`)), path("ok", "12.5"), StepPing, "", "value-number", []string{"“12.50”", "“12.5”"}, "ping.successValues[0]=12.50"},
		{"a number where text was expected", ping(answerJSON(`{"ok":1}`)), same, StepPing, "", "value-type", []string{"the number 1", "the text “true”"}, "ping.successValues[0]=1"},
		{"text where a number was expected", ping(answerJSON(`{"ok":"up"}`)), path("ok", "1"), StepPing, "", "value-type", []string{"the text “up”", "the number 1"}, "ping.successValues[0]=up"},
		{"true where a number was expected", ping(answerJSON(`{"ok":true}`)), path("ok", "1"), StepPing, "", "value-type", []string{"Found true", "the number 1"}, "ping.successValues[0]=true"},
		{"a byte order mark in the value", ping(answerJSON("{\"ok\":\"\ufefftrue\"}")), same, StepPing, "", "value-blank", []string{"can't be seen"}, "ping.successValues[0]=\ufefftrue"},
		{"another character set", ping(answerJSON("{\"ok\":\"gr\xfcn\"}")), path("ok", "grün"), StepPing, "", "charset", []string{"another character set"}, ""},
		{"an object", ping(answerJSON(`{"ok":{"value":true}}`)), same, StepPing, "", "value-object", []string{"an object"}, ""},
		// the path
		{"one level off", ping(answerJSON(`{"data":{"ok":true}}`)), same, StepPing, "", "path-level", []string{"data.ok exists (“true”)"}, "ping.successPath=data.ok"},
		{"one level too deep", ping(answerJSON(`{"ok":true}`)), path("data.ok"), StepPing, "", "path-level", []string{"ok exists"}, "ping.successPath=ok"},
		{"within a list", ping(answerJSON(`[{"ok":true}]`)), same, StepPing, "", "path-level", nil, "ping.successPath=$[0].ok"},
		{"a key that needs brackets", ping(answerJSON(`{"a b":{"ok":true}}`)), same, StepPing, "", "path-level", nil, "ping.successPath=$['a b'].ok"},
		{"another case", ping(answerJSON(`{"OK":true}`)), same, StepPing, "", "path-case", nil, "ping.successPath=OK"},
		{"XML one level off", ping(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/xml")
			_, _ = w.Write([]byte(`<response><status>up</status></response>`))
		}), path("/status"), StepPing, "", "path-level", nil, "ping.successPath=/response/status"},
		{"no such name", ping(answerJSON(`{"status":"up","version":3}`)), same, StepPing, "", "path-names", []string{"status, version"}, ""},
		{"XML and a JSONPath", ping(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/xml")
			_, _ = w.Write([]byte(`<ok>true</ok>`))
		}), path("$.ok"), StepPing, "", "path-language", []string{"XPath"}, ""},
		// pages
		{"200, but a login page", ping(html(loginPage)), same, StepPing, "", "login-page", []string{"HTML login page"}, ""},
		{"200, but some page", ping(html(`<!doctype html><title>Welcome</title>`)), same, StepPing, "", "html-page", []string{"“Welcome”"}, ""},
		{"redirect to a login page", ping(answerStatus(302, "Location", "/login?next=/api/me")), same, StepPing, "", "login-redirect", []string{"/login"}, ""},
		{"sign-in by GET of the login page", signIn(html(loginPage)), func(c *connection.Connection) { c.Auth.Cookie.Method = "GET" }, StepSignIn, "sign_in_failed", "login-page", []string{"/j_check"}, "auth.cookie.method=POST"},
		{"sign-in shows the login page again", signIn(html(loginPage)), same, StepSignIn, "sign_in_failed", "login-page", []string{"/j_check"}, ""},
		// the sign-in
		{"200 Fails., no cookie", signIn(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("Fails.")) }), same, StepSignIn, "sign_in_failed", "no-cookie", []string{"set no cookie", "“Fails.”"}, ""},
		{"a token and no cookie", signIn(answerJSON(`{"access_token":"abcdefgh12345678"}`)), same, StepSignIn, "sign_in_failed", "no-cookie", []string{"access_token"}, ""},
		{"401 from the sign-in", good(), func(c *connection.Connection) { c.Secrets["password"] = "another" }, StepSignIn, "sign_in_failed", "sign-in-401", []string{"the user name and the password"}, ""},
		{"another success status code", good(), func(c *connection.Connection) { c.Auth.Cookie.SuccessStatusCode = 201 }, StepSignIn, "sign_in_failed", "success-status", []string{"answered 200 and set a cookie"}, "auth.cookie.successStatusCode=200"},
		{"405 at the sign-in", signIn(answerStatus(405, "Allow", "GET, OPTIONS")), same, StepSignIn, "sign_in_failed", "method", []string{"GET, OPTIONS"}, "auth.cookie.method=GET"},
		{"415 at the sign-in", signIn(answerStatus(415)), func(c *connection.Connection) { c.MediaType = connection.JSON }, StepSignIn, "sign_in_failed", "body-type", []string{"URL encoded", "application/json"}, "mediaType=urlencoded"},
		{"415 to a body that is what it says", signIn(answerStatus(415)), same, StepSignIn, "sign_in_failed", "media-type", []string{"urlencoded"}, ""},
		{"JSON sent as a form", good(), func(c *connection.Connection) { c.Auth.Cookie.Body = `{"password":"{{secret.password}}"}` }, StepSignIn, "sign_in_failed", "body-type", []string{"looks like JSON", "application/x-www-form-urlencoded"}, "mediaType=json"},
		{"a form sent as JSON, 200 and no cookie", signIn(answerJSON(`{"error":"no user"}`)), func(c *connection.Connection) { c.MediaType = connection.JSON }, StepSignIn, "sign_in_failed", "body-type", nil, "mediaType=urlencoded"},
		{"XML sent as JSON", signIn(answerStatus(400)), func(c *connection.Connection) {
			c.MediaType, c.Auth.Cookie.Body = connection.JSON, "<in><p>{{secret.password}}</p></in>"
		}, StepSignIn, "sign_in_failed", "body-type", nil, "mediaType=xml"},
		{"a sign-in without its CSRF token", signIn(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "CSRF verification failed. Request aborted.", http.StatusForbidden)
		}), same, StepSignIn, "sign_in_failed", "csrf", []string{"first request"}, ""},
		{"SAP wants a token", ping(answerStatus(http.StatusForbidden, "X-CSRF-Token", "Required")), func(c *connection.Connection) { c.Ping.Method = "POST" }, StepPing, "", "csrf", nil, "ping.method=GET"},
		{"a token that is taken for no token at all", ping(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "CSRF Error", http.StatusForbidden) }), func(c *connection.Connection) {
			c.Auth = connection.Auth{Type: connection.AuthToken, Token: &connection.TokenAuth{Name: "X-API-Key", Token: "another"}}
		}, StepPing, "", "credentials", []string{"did not recognise the credentials"}, ""},
		// redirects that take something away
		{"a slash turns POST into GET", slashes(good(), http.StatusMovedPermanently), same, StepSignIn, "sign_in_failed", "slash-redirect", []string{"with a slash", "turns POST into GET"}, "auth.cookie.uri=/in/"},
		{"a ping of POST loses its slash", pingMoved("/api/me/", "/api/me", http.StatusFound), func(c *connection.Connection) { c.Ping.Method, c.Ping.URI = "POST", "/me/?a=1" }, StepPing, "", "slash-redirect", []string{"without a slash"}, "ping.uri=/me?a=1"},
		{"another host name loses the headers", elsewhere(t), func(c *connection.Connection) {
			c.Headers = []connection.Header{{Name: "X-Key", Value: "1"}}
			c.Auth = connection.Auth{Type: connection.AuthNone}
		}, StepPing, "", "redirect-origin", []string{"headers are not sent"}, "baseUri=http://127.0.0.1"},
		// the place
		{"the API lies below", below404("/api/rest/me"), func(c *connection.Connection) { c.Auth = connection.Auth{Type: connection.AuthNone} }, StepPing, "", "path-sibling", []string{"/rest/me answers"}, "ping.uri=/rest/me"},
		{"the base URI is too long", below404("/me"), func(c *connection.Connection) { c.Auth = connection.Auth{Type: connection.AuthNone} }, StepPing, "", "path-sibling", []string{"too long"}, "baseUri=http://127.0.0.1"},
		{"the base URI is too long, with a sign-in", below404("/me"), same, StepPing, "", "path-sibling", []string{"begin the other URIs with /api"}, ""},
		{"404 from the ping, nowhere near", ping(answerStatus(404)), same, StepPing, "", "not-found", []string{"/api/me"}, ""},
		{"a login page without a sign-in", ping(html(loginPage)), func(c *connection.Connection) { c.Auth = connection.Auth{Type: connection.AuthNone} }, StepPing, "", "login-page", nil, "auth.type=cookie"},
		{"404 at the sign-in", good(), func(c *connection.Connection) { c.Auth.Cookie.URI = "/nowhere" }, StepSignIn, "sign_in_failed", "not-found", []string{"/api/nowhere"}, ""},
		// cookies
		{"Secure on plain http", cookie(http.Cookie{Name: "SID", Value: "v1", Path: "/", Secure: true}), same, StepSignIn, "sign_in_failed", "cookie-secure", []string{"Secure", "plain http"}, "baseUri=https"},
		{"for another domain", cookie(http.Cookie{Name: "SID", Value: "v1", Path: "/", Domain: "erp.example"}), same, StepSignIn, "sign_in_failed", "cookie-domain", []string{"erp.example"}, "baseUri=http://erp.example:"},
		{"__Host- on plain http", cookie(http.Cookie{Name: "__Host-SID", Value: "v1", Path: "/", Secure: false}), same, StepSignIn, "sign_in_failed", "cookie-host-prefix", nil, "baseUri=https"},
		{"for another path", cookie(http.Cookie{Name: "SID", Value: "v1", Path: "/other"}), same, StepPing, "", "cookie-other-path", []string{"/other"}, ""},
		{"expired by a wrong clock", signIn(func(w http.ResponseWriter, _ *http.Request) {
			then := now.Add(-3 * time.Hour)
			w.Header().Set("Date", then.UTC().Format(http.TimeFormat))
			http.SetCookie(w, &http.Cookie{Name: "SID", Value: "v1", Path: "/", Expires: then.Add(time.Hour)})
		}), same, StepSignIn, "sign_in_failed", "clock", []string{"behind the relay's by 3h"}, ""},
		// the ping's status
		{"401 from the ping", ping(answerStatus(401)), same, StepPing, "", "ping-401", []string{"sign-in went well"}, ""},
		{"401 without a sign-in", ping(answerStatus(401, "WWW-Authenticate", "Bearer realm=x")), func(c *connection.Connection) { c.Auth = connection.Auth{Type: connection.AuthNone} }, StepPing, "", "ping-401", []string{"authentication type is none", "Bearer"}, ""},
		{"basic credentials that are wrong", ping(answerStatus(401, "WWW-Authenticate", `Basic realm="erp"`)), basic, StepPing, "", "ping-401", []string{"user name and the password"}, ""},
		{"basic where digest is asked for", ping(answerStatus(401, "WWW-Authenticate", `Digest realm="erp", nonce="x"`)), basic, StepPing, "", "ping-401-scheme", []string{"asks for the scheme Digest"}, "auth.type=digest"},
		{"nothing where basic is asked for", ping(answerStatus(401, "WWW-Authenticate", `Basic realm="erp"`)), func(c *connection.Connection) { c.Auth = connection.Auth{Type: connection.AuthNone} }, StepPing, "", "ping-401-scheme", []string{"Choose basic"}, "auth.type=basic"},
		{"a token that is refused", ping(answerStatus(401, "WWW-Authenticate", `Bearer error="invalid_token"`)), func(c *connection.Connection) {
			c.Auth = connection.Auth{Type: connection.AuthToken, Token: &connection.TokenAuth{In: "header", Name: "Authorization", Token: "x"}}
		}, StepPing, "", "ping-401", []string{"did not accept the token"}, ""},
		{"credentials that lack the right", ping(answerStatus(403)), basic, StepPing, "", "ping-403", []string{"the credentials lack the right"}, ""},
		{"403 from the ping", ping(answerStatus(403)), same, StepPing, "", "ping-403", []string{"lacks the right"}, ""},
		{"405 from the ping", ping(answerStatus(405)), same, StepPing, "", "method", []string{"does not take GET"}, "ping.method=POST"},
		{"429", ping(answerStatus(429, "Retry-After", "30")), same, StepPing, "", "too-many-requests", []string{"30 seconds"}, ""},
		{"500", ping(answerStatus(500)), same, StepPing, "", "server-error", nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, outbound.Options{})
			c := to(serve(t, test.app))
			test.change(c)
			check(t, failed(t, s.test(c)), test.step, test.code, test.id, test.want, test.fix)
		})
	}

	roads := []struct {
		name   string
		base   func(t *testing.T) string
		change func(*connection.Connection)
		o      outbound.Options
		code   proto.Code
		id     string
		want   []string
		fix    string
	}{
		{"refused", func(t *testing.T) string { return "http://" + closedPort(t) }, same, outbound.Options{}, proto.CodeTargetRefused, "refused", []string{"127.0.0.1:", "port"}, ""},
		{"host not found at the agent", func(*testing.T) string { return "http://erp.invalid" }, onPremise, outbound.Options{Resolver: noSuchName(t)}, proto.CodeTargetDNS, "host-not-found", []string{"erp.invalid", "the DNS server ", "the agent's machine"}, ""},
		{"host not found in cloud mode", func(*testing.T) string { return "http://erp.invalid" }, same, outbound.Options{Resolver: noSuchName(t)}, proto.CodeTargetDNS, "host-not-found", []string{"the relay", "on-premise"}, ""},
		{"private address in cloud mode", func(t *testing.T) string { return serve(t, good()) }, same, outbound.Options{Guard: true}, proto.CodeAddressForbidden, "private-address", []string{"127.0.0.1", "on-premise"}, "mode=on-premise"},
		{"unknown authority", func(*testing.T) string {
			return ca.serveTLS(good(), now.Add(-time.Hour), now.Add(time.Hour), nil, loop)
		}, onPremise, outbound.Options{}, proto.CodeTargetTLS, "unknown-authority", []string{"“Plant 2 Root CA”", "trust store of the agent's machine"}, ""},
		{"unknown authority, from the cloud", func(*testing.T) string {
			return ca.serveTLS(good(), now.Add(-time.Hour), now.Add(time.Hour), nil, loop)
		}, same, outbound.Options{}, proto.CodeTargetTLS, "unknown-authority", []string{"“Plant 2 Root CA”", "trust store of the relay's machine"}, ""},
		{"self-signed", func(t *testing.T) string { return selfSigned(t, loop) }, onPremise, outbound.Options{}, proto.CodeTargetTLS, "self-signed", []string{"signed by itself", "sallyport-agent trust https://127.0.0.1:"}, ""},
		{"self-signed, from the cloud", func(t *testing.T) string { return selfSigned(t, loop) }, same, outbound.Options{}, proto.CodeTargetTLS, "self-signed", []string{"the relay's machine"}, ""},
		{"another certificate than the pinned one", func(t *testing.T) string { return selfSigned(t, loop) }, onPremise, outbound.Options{HostTLS: func(string, string) outbound.HostTLS { return outbound.HostTLS{Pin: &outbound.Fingerprint{1}} }}, proto.CodeTargetTLS, "pin-mismatch", []string{"has pinned another certificate", "sallyport-agent trust"}, ""},
		{"a client certificate is asked for", func(t *testing.T) string { return ca.serveMutual(good(), loop) }, onPremise, outbound.Options{RootCAs: ca.pool()}, proto.CodeTargetTLS, "client-certificate", []string{"clientCertificates in agent.yaml"}, ""},
		{"a client certificate is asked for, from the cloud", func(t *testing.T) string { return ca.serveMutual(good(), loop) }, same, outbound.Options{RootCAs: ca.pool()}, proto.CodeTargetTLS, "client-certificate", []string{"use on-premise mode"}, ""},
		{"http to a port that speaks https", func(*testing.T) string {
			return strings.Replace(ca.serveTLS(good(), now.Add(-time.Hour), now.Add(time.Hour), nil, loop), "https:", "http:", 1)
		}, func(c *connection.Connection) {
			// Go's server reads a part of what it does not understand; were there more,
			// closing would reset the connection, and its answer could be lost.
			c.Auth.Cookie.Method, c.Auth.Cookie.Body = "GET", ""
		}, outbound.Options{}, proto.CodeSignInFailed, "https-expected", []string{"expects https"}, "baseUri=https://127.0.0.1"},
		{"http to a port that answers by a TLS alert", func(t *testing.T) string { return talker(t, "\x15\x03\x01\x00\x02\x02\x46") }, same, outbound.Options{}, proto.CodeTargetUnreachable, "not-http", []string{"https://"}, "baseUri=https://127.0.0.1"},
		{"another protocol", func(t *testing.T) string { return talker(t, "SSH-2.0-OpenSSH_9.2\r\n") }, onPremise, outbound.Options{}, proto.CodeTargetUnreachable, "not-http", []string{"does not speak HTTP"}, "baseUri=https://"},
		{"the connection is closed", func(t *testing.T) string { return talker(t, "") }, same, outbound.Options{}, proto.CodeTargetUnreachable, "reset", []string{"closed it without an answer"}, ""},
		{"the DNS server fails", func(*testing.T) string { return "http://erp.invalid" }, onPremise, outbound.Options{Resolver: failingDNS(t)}, proto.CodeTargetDNS, "dns-failed", []string{"erp.invalid", "the agent's machine"}, ""},
		{"expired certificate", func(*testing.T) string {
			return ca.serveTLS(good(), now.Add(-2*time.Hour), now.Add(-time.Hour), nil, loop)
		}, same, outbound.Options{RootCAs: ca.pool()}, proto.CodeTargetTLS, "certificate-expired", []string{"expired on", "UTC"}, ""},
		{"certificate of tomorrow", func(*testing.T) string {
			return ca.serveTLS(good(), now.Add(time.Hour), now.Add(2*time.Hour), nil, loop)
		}, same, outbound.Options{RootCAs: ca.pool()}, proto.CodeTargetTLS, "clock", []string{"clock of the relay"}, ""},
		{"wrong host name", func(*testing.T) string {
			return ca.serveTLS(good(), now.Add(-time.Hour), now.Add(time.Hour), []string{"erp.example", "www.erp.example"})
		}, same, outbound.Options{RootCAs: ca.pool()}, proto.CodeTargetTLS, "wrong-host-name", []string{"erp.example, www.erp.example"}, ""},
		{"wrong host name, one name", func(*testing.T) string {
			return ca.serveTLS(good(), now.Add(-time.Hour), now.Add(time.Hour), []string{"erp.example"})
		}, same, outbound.Options{RootCAs: ca.pool()}, proto.CodeTargetTLS, "wrong-host-name", nil, "baseUri=https://erp.example:"},
		{"https to a port that speaks http", func(t *testing.T) string { return strings.Replace(serve(t, good()), "http:", "https:", 1) }, same, outbound.Options{}, proto.CodeTargetTLS, "not-tls", nil, "baseUri=http://127.0.0.1"},
	}
	for _, test := range roads {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, test.o)
			s.machines = oneMachine()
			c := to(test.base(t))
			test.change(c)
			check(t, failed(t, s.test(c)), StepSignIn, string(test.code), test.id, test.want, test.fix)
		})
	}
}

func check(t *testing.T, step Step, name, code, id string, want []string, fix string) {
	t.Helper()
	if step.Name != name || step.Code != code {
		t.Errorf("step %s, code %q; want %s, %q: %s", step.Name, step.Code, name, code, step.Message)
	}
	if step.Hint == "" {
		t.Fatalf("no hint: %s", step.Message)
	}
	if step.HintID != id {
		t.Fatalf("hint %s, want %s: %s", step.HintID, id, step.Hint)
	}
	for _, w := range want {
		if !strings.Contains(step.Hint, w) {
			t.Errorf("hint %q, want %q in it", step.Hint, w)
		}
	}
	if !strings.HasSuffix(step.Hint, ".") {
		t.Errorf("hint %q is not made of sentences", step.Hint)
	}
	got := ""
	if step.Fix != nil {
		got = step.Fix.Field + "=" + step.Fix.Value
	}
	if !strings.HasPrefix(got, fix) || fix == "" && got != "" {
		t.Errorf("fix %q, want %q", got, fix)
	}
}

// Causes that take too long, or another part, to be brought about here: the
// error is given as the end of the road makes it.
func TestHintsFromTheErrorsOfTheRoad(t *testing.T) {
	tests := []struct {
		name string
		err  proto.Error
		id   string
		want string
	}{
		{"timed out while connecting", proto.Error{Code: proto.CodeTargetTimeout, Reason: proto.ReasonTimeout, Facts: map[string]string{"stage": "connect"}}, "timed-out", "while connecting"},
		{"timed out while waiting", proto.Error{Code: proto.CodeTargetTimeout, Reason: proto.ReasonTimeout, Facts: map[string]string{"stage": "wait"}}, "timed-out", "waiting for the application's answer"},
		{"timed out somewhere", proto.Error{Code: proto.CodeTargetTimeout}, "timed-out", "while waiting"},
		{"policy with its line", proto.Error{Code: proto.CodePolicyDenied, Reason: proto.ReasonNoRule, Facts: map[string]string{"line": "allow GET https://erp"}}, "policy", "adds this line to the agent's policy: allow GET https://erp"},
		{"policy with a rule in the way", proto.Error{Code: proto.CodePolicyDenied, Reason: proto.ReasonDenyRule, Facts: map[string]string{"line": "allow GET https://erp", "rule": "deny * https://*"}}, "policy", "above the rule that forbids it (deny * https://*): allow GET https://erp"},
		{"metadata", proto.Error{Code: proto.CodePolicyDenied, Reason: proto.ReasonGuarded, Facts: map[string]string{"line": "allow GET http://169.254.169.254", "address": "169.254.169.254"}}, "policy", "169.254.169.254 is a link-local or metadata address"},
		{"policy without a line", proto.Error{Code: proto.CodePolicyDenied, Reason: proto.ReasonAmbiguousPath, Hint: "Send a plain path."}, "policy", "Send a plain path."},
		{"rate of a rule", proto.Error{Code: proto.CodeTooManyRequests, Reason: proto.ReasonRuleRate, Facts: map[string]string{"rule": "allow GET https://erp rate=1/h", "retryAfter": "60"}}, "policy-rate", "in 60 s, or ask the site's admin to raise rate= in this rule: allow GET https://erp rate=1/h"},
		{"body of a rule", proto.Error{Code: proto.CodeTooLarge, Reason: proto.ReasonRuleBody, Facts: map[string]string{"rule": "allow GET https://erp body=1KB"}}, "policy-body", "body="},
		{"policy", proto.Error{Code: proto.CodePolicyDenied}, "policy", "site's admin"},
		{"tunnel lost", proto.Error{Code: proto.CodeTunnelLost}, "tunnel-lost", "test again"},
		{"agent offline", proto.Error{Code: proto.CodeAgentOffline}, "agent-offline", "Start the agent"},
		{"another relay lost", proto.Error{Code: proto.CodeTunnelLost, Facts: map[string]string{"relay": "rly_a"}}, "relay-lost", "connection to the relay that holds"},
		{"agent of another relay", proto.Error{Code: proto.CodeAgentOffline, Reason: hub.ReasonRelayUnreachable, Hint: "Check its peer-address."}, "relay-unreachable", "Check its peer-address."},
		{"no route", proto.Error{Code: proto.CodeTargetUnreachable, Reason: proto.ReasonNoRoute, Facts: map[string]string{"address": "10.9.9.9:443"}}, "no-route", "10.9.9.9:443"},
		{"reset", proto.Error{Code: proto.CodeTargetUnreachable, Reason: proto.ReasonReset}, "reset", "https"},
		{"DNS silent", proto.Error{Code: proto.CodeTargetDNS, Reason: proto.ReasonDNSFailed, Facts: map[string]string{"host": "erp", "dnsServer": "10.0.0.53:53"}}, "dns-failed", "10.0.0.53:53"},
		{"self-signed", proto.Error{Code: proto.CodeTargetTLS, Reason: proto.ReasonSelfSigned, Facts: map[string]string{"host": "erp", "subject": "CN=erp"}}, "self-signed", "CN=erp"},
		{"self-signed, pinned", proto.Error{Code: proto.CodeTargetTLS, Reason: proto.ReasonSelfSigned}, "self-signed", "run `sallyport-agent trust https://erp.example:8443` there"},
		{"unknown authority, pinned", proto.Error{Code: proto.CodeTargetTLS, Reason: proto.ReasonUnknownAuthority}, "unknown-authority", "run `sallyport-agent trust https://erp.example:8443` there"},
		{"wrong name, pinned", proto.Error{Code: proto.CodeTargetTLS, Reason: proto.ReasonWrongHost, Facts: map[string]string{"names": "localhost"}}, "wrong-host-name", "run `sallyport-agent trust https://erp.example:8443` there"},
		{"no name, pinned", proto.Error{Code: proto.CodeTargetTLS, Reason: proto.ReasonWrongHost, Facts: nil}, "wrong-host-name", "run `sallyport-agent trust https://erp.example:8443` there"},
		{"another certificate than the pinned", proto.Error{Code: proto.CodeTargetTLS, Reason: proto.ReasonPinMismatch}, "pin-mismatch", "runs `sallyport-agent trust https://erp.example:8443`"},
		{"client certificate", proto.Error{Code: proto.CodeTargetTLS, Reason: proto.ReasonClientCertificate, Facts: map[string]string{"host": "erp"}}, "client-certificate", "clientCertificates in agent.yaml"},
		{"secret", proto.Error{Code: proto.CodeSecretUnavailable, Reason: proto.ReasonVaultSealed, Hint: "Unseal Vault."}, "agent-secret", "Unseal Vault."},
		{"secret of another host", proto.Error{Code: proto.CodePolicyDenied, Reason: proto.ReasonSecretHost, Hint: "Add the host."}, "agent-secret", "Add the host."},
		{"a hint of the road's own", proto.Error{Code: proto.CodeInternal, Hint: "Do this."}, "internal", "Do this."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := to("https://erp.example:8443/api")
			c.Mode = connection.OnPremise
			h := evidence{c: c, step: StepPing, failure: &test.err, clock: time.Now}.hint()
			if h == nil || h.ID != test.id || !strings.Contains(h.Text, test.want) {
				t.Errorf("got %+v, want %s with %q", h, test.id, test.want)
			}
		})
	}
}

// Each cookie that was refused is told with the rule that it broke, though the
// sign-in works by another one; one that only takes an old cookie away is no news.
func TestRefusedCookiesOfASignInThatWorksAreWarnedOf(t *testing.T) {
	s := newSite(t, outbound.Options{})
	a := workingApp()
	a.signIn = func(w http.ResponseWriter, r *http.Request) {
		for _, line := range []string{"foreign=1; Domain=other.example", "safe=1; Secure", "__Host-d=1", "old=; Max-Age=0"} {
			w.Header().Add("Set-Cookie", line)
		}
		http.SetCookie(w, &http.Cookie{Name: "SID", Value: "s3ss1on-value", Path: "/"})
	}
	r := s.test(to(serve(t, a)))
	warnings := strings.Join(r.Warnings, " ")
	if !r.OK || len(r.Warnings) != 4 || strings.Contains(warnings, "cookie old") {
		t.Errorf("ok %v, warnings %q", r.OK, r.Warnings)
	}
	for _, name := range []string{"foreign", "safe", "__Host-d"} {
		if !strings.Contains(warnings, name) {
			t.Errorf("nothing of %s: %q", name, r.Warnings)
		}
	}
}

// A login page passes as a 2xx where no success path says otherwise; the
// result warns of it.
func TestALoginPageThatPassesIsWarnedOf(t *testing.T) {
	s := newSite(t, outbound.Options{})
	a := workingApp()
	a.ping = answerStatus(302, "Location", "/login")
	c := to(serve(t, a))
	c.Ping.SuccessPath, c.Ping.SuccessValues = "", nil
	r := s.test(c)
	if !r.OK || !strings.Contains(strings.Join(r.Warnings, " "), "redirected to a login page") {
		t.Errorf("ok %v, warnings %q", r.OK, r.Warnings)
	}
	if len(r.Steps[2].Hops) != 1 || r.Steps[2].Hops[0].Status != 302 {
		t.Errorf("hops: %+v", r.Steps[2].Hops)
	}
}
