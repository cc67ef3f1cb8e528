package recording

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"strings"

	"sallyport/relay/connection"
)

// of makes the draft of a single request: a login, or a request that is signed
// in already, which then is the ping.
func (d Draft) of(r *request) Draft {
	base := baseOf(r.url)
	d.begin(base, r)
	if isTokenRequest(r) {
		d.clientCredentials(base, r)
		d.note(Check, "There is no ping yet: enter a URI of the API, such as /me.")
	} else if isLogin(r) {
		d.signIn(base, r)
		d.note(Check, "There is no ping yet: enter a URI that answers only who is signed in, such as /me.")
	} else {
		d.ping(base, r)
		if field(r.header, "Cookie") != "" && d.Spec.Auth.Type == connection.AuthNone {
			d.Spec.Auth = connection.Auth{Type: connection.AuthCookie, Cookie: &connection.CookieAuth{Method: "POST"}}
			d.note(Check, "This request is signed in by a cookie, and the cookie will end. Fill from the login request itself, so that Sallyport can sign in by itself.")
		}
	}
	d.missing()
	return d
}

// begin fills in what does not depend on the kind of request.
func (d *Draft) begin(base *url.URL, r *request) {
	d.Spec.BaseURI = base.String()
	d.Spec.Name = nameOf(base)
	d.Spec.Mode = connection.Cloud
	if isPrivate(base.Hostname()) {
		d.Spec.Mode = connection.OnPremise
		d.note(Check, "The address %s looks like one inside of a company: choose the agent that reaches it.", base.Host)
	}
	media, plain := r.mediaType()
	d.Spec.MediaType = media
	d.Spec.Ping = connection.Ping{Method: "GET"}
	if !plain && r.body != "" {
		value := field(r.header, "Content-Type")
		d.Spec.Headers = append(d.Spec.Headers, connection.Header{Name: "Content-Type", Value: value})
		d.note(Understood, "The Content-Type %s is none of the media types, so it is configured as a header.", shorten(value, 60))
	}
	d.authorize(r)
	d.headers(r.header)
}

// apiPath are segments with which the path of an API begins.
var apiPath = regexp.MustCompile(`(?i)^(?:api|apis|rest|services?|ws|odata|jsonrpc|json|v\d+(?:\.\d+)*|\d+\.\d+)$`)

// baseOf is the base URI that a request's address suggests: its origin, and its
// path as far as it is that of an API as a whole.
func baseOf(u *url.URL) *url.URL {
	base := &url.URL{Scheme: u.Scheme, Host: u.Host}
	segments := strings.Split(strings.Trim(u.EscapedPath(), "/"), "/")
	end := 0
	for i, s := range segments[:len(segments)-1] {
		if apiPath.MatchString(s) {
			end = i + 1
		} else if end > 0 {
			break
		}
	}
	if end > 0 {
		setPath(base, "/"+strings.Join(segments[:end], "/"))
	}
	return base
}

func setPath(u *url.URL, escaped string) {
	u.RawPath = escaped
	u.Path, _ = url.PathUnescape(escaped) // of an address that was parsed: it can be undone
}

// relative is an address as the form writes it, or whole where it lies
// elsewhere.
func relative(base, u *url.URL, query string) string {
	path := u.EscapedPath()
	if !connection.SameOrigin(base, u) {
		path = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
	} else if rest, below := strings.CutPrefix(path, base.EscapedPath()); below && (rest == "" || rest[0] == '/') {
		path = rest
	}
	if path == "" {
		path = "/"
	}
	if query != "" {
		path += "?" + query
	}
	return path
}

func nameOf(base *url.URL) string {
	name := base.Hostname()
	if p := base.Port(); p != "" {
		name += ":" + p
	}
	return shorten(name, connection.MaxName-1)
}

var privateName = regexp.MustCompile(`(?i)^(?:localhost|[^.]+|.*\.(?:local|internal|intranet|lan|corp|home|test))$`)

// isPrivate tells hosts that only their own network knows, by their looks: the
// address is not asked.
func isPrivate(host string) bool {
	if strings.ContainsAny(host, ":") || strings.Trim(host, "0123456789.") == "" {
		return privateAddress(host)
	}
	return privateName.MatchString(host)
}

// signIn makes the request the one that signs in.
func (d *Draft) signIn(base *url.URL, r *request) {
	d.besideSignIn()
	cookie := &connection.CookieAuth{Method: r.method, URI: relative(base, r.url, d.hideQuery(r.url.RawQuery))}
	if cookie.Method != "GET" {
		if cookie.Method != "POST" {
			d.note(Check, "The login was sent by %s; a sign-in is sent by GET or POST.", cookie.Method)
		}
		cookie.Method = "POST"
		cookie.Body = d.hideBody(d.Spec.MediaType, r.body)
	}
	d.Spec.Auth = connection.Auth{Type: connection.AuthCookie, Cookie: cookie}
	d.note(Understood, "%s %s is the sign-in.", r.method, shorten(relative(base, r.url, ""), 80))
}

// ping makes the request the ping.
func (d *Draft) ping(base *url.URL, r *request) {
	p := &d.Spec.Ping
	switch r.method {
	case "GET", "POST", "PUT", "HEAD":
		p.Method = r.method
	default:
		d.note(Check, "The request was sent by %s, and a ping by GET, HEAD, POST or PUT: choose one that changes nothing.", shorten(r.method, 20))
		return
	}
	p.URI = relative(base, r.url, d.hideQuery(r.url.RawQuery))
	if p.Method == "POST" || p.Method == "PUT" {
		p.Body = d.hideBody(d.Spec.MediaType, r.body)
		d.note(Check, "The ping is sent by %s each time that the connection is tested: make sure that it changes nothing in the application.", p.Method)
	}
	d.note(Understood, "%s %s is the ping.", p.Method, shorten(relative(base, r.url, ""), 80))
}

// authorize takes the Authorization header, or -u, into the authentication.
func (d *Draft) authorize(r *request) {
	d.Spec.Auth = connection.Auth{Type: connection.AuthNone}
	user, scheme, bearer := r.user, r.scheme, r.bearer
	if value := field(r.header, "Authorization"); value != "" {
		kind, rest, _ := strings.Cut(value, " ")
		switch {
		case strings.EqualFold(kind, "Basic"):
			if plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest)); err == nil && strings.Contains(string(plain), ":") {
				user, scheme = string(plain), "basic"
			} else {
				d.token(kind, rest)
			}
		case strings.EqualFold(kind, "Bearer"):
			bearer = rest
		case strings.EqualFold(kind, "Digest"):
			d.note(LeftOut, "The Authorization header of Digest is computed anew for each request.")
		case rest == "":
			d.token("", kind)
		default:
			d.token(kind, rest)
		}
	}
	switch {
	case bearer != "":
		d.token("Bearer", bearer)
	case user != "":
		name, password, _ := strings.Cut(user, ":")
		d.credentials(scheme, name, d.keep("password", password))
	}
}

// keep is hide, for a value that may be a placeholder already, or missing.
func (d *Draft) keep(name, value string) string {
	if strings.Contains(value, "{{secret.") {
		return value
	}
	if value == "" { // curl would ask for it
		return placeholder(secretName(name))
	}
	return d.hide(name, value)
}

// headers takes over the headers that matter to the application.
func (d *Draft) headers(header []connection.Header) {
	var noise []string
	for _, h := range header {
		lower := strings.ToLower(h.Name)
		switch {
		case strings.HasPrefix(lower, ":"), lower == "authorization", lower == "cookie", lower == "content-type", lower == "content-length", lower == "host":
		case lower == "origin" || lower == "referer":
			d.note(LeftOut, "%s: few applications check it. If the sign-in is answered 403, configure it as a header.", h.Name)
		case lower == "accept" && !strings.Contains(h.Value, "*/*") && !strings.Contains(h.Value, "text/html"), !isNoise(lower):
			d.configure(h)
		default:
			noise = append(noise, h.Name)
		}
	}
	if len(noise) > 0 {
		d.note(LeftOut, "What the browser adds by itself: %s.", shorten(strings.Join(noise, ", "), 300))
	}
}

// configure keeps a header; its value becomes a secret where it is a key.
func (d *Draft) configure(h connection.Header) {
	if keyHeader.MatchString(h.Name) && h.Value != "" && !strings.Contains(h.Value, "{{") {
		h.Value = d.hide(h.Name, h.Value)
		d.note(Understood, "The value of the header %s is now the secret %s.", shorten(h.Name, 40), strings.Trim(h.Value, "{}"))
		if looksLikeCSRF(h.Name) {
			d.note(Check, "%s looks like a token that the application gives anew for each session: a fixed value will be refused before long.", h.Name)
		}
	}
	for _, known := range d.Spec.Headers {
		if known == h {
			return
		}
	}
	d.Spec.Headers = append(d.Spec.Headers, h)
}

// noise are the headers that a browser or curl adds by itself, and those of the
// hop.
var noise = map[string]bool{
	"accept": true, "accept-encoding": true, "accept-language": true, "user-agent": true, "dnt": true, "upgrade-insecure-requests": true,
	"cache-control": true, "pragma": true, "connection": true, "keep-alive": true, "priority": true, "te": true, "trailer": true,
	"transfer-encoding": true, "upgrade": true, "expect": true, "if-none-match": true, "if-modified-since": true, "if-match": true,
	"range": true, "save-data": true, "rtt": true, "downlink": true, "ect": true, "viewport-width": true, "width": true, "device-memory": true, "dpr": true,
	"sentry-trace": true, "baggage": true, "traceparent": true, "tracestate": true, "newrelic": true, "x-newrelic-id": true,
	"x-client-data": true, "purpose": true, "http2-settings": true, "proxy-connection": true,
	"x-forwarded-for": true, "x-forwarded-proto": true, "x-forwarded-host": true, "forwarded": true, "via": true,
}

func isNoise(lower string) bool {
	return noise[lower] || strings.HasPrefix(lower, "sec-") || strings.HasPrefix(lower, "proxy-") || strings.HasPrefix(lower, "x-datadog-") ||
		strings.HasPrefix(lower, "x-b3-") || strings.HasPrefix(lower, "sallyport-")
}

// missing lists the placeholders that have no value.
func (d *Draft) missing() {
	for _, name := range connection.Placeholders(d.Spec) {
		if _, known := d.Secrets[name]; !known {
			d.Missing = append(d.Missing, name)
			d.note(Check, "The value of secret.%s is not in the text: enter it.", name)
		}
	}
}
