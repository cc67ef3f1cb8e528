package recording

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"sallyport/relay/connection"
)

// harFile is what is read of an HTTP Archive 1.2. Much of it is left out by one
// browser or another.
type harFile struct {
	Log struct {
		Entries []harEntry `json:"entries"`
	} `json:"log"`
}

type harEntry struct {
	Request struct {
		Method   string    `json:"method"`
		URL      string    `json:"url"`
		Headers  []harPair `json:"headers"`
		Cookies  []harPair `json:"cookies"`
		PostData *struct {
			MimeType string    `json:"mimeType"`
			Text     string    `json:"text"`
			Params   []harPair `json:"params"`
		} `json:"postData"`
	} `json:"request"`
	Response struct {
		Status  int       `json:"status"`
		Headers []harPair `json:"headers"`
		Cookies []harPair `json:"cookies"`
		Content struct {
			MimeType string `json:"mimeType"`
			Text     string `json:"text"`
			Encoding string `json:"encoding"`
		} `json:"content"`
	} `json:"response"`
}

type harPair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// FromHAR makes a draft from the requests that a browser recorded during a
// login: the one that sent the password is the sign-in, and one of those that
// came after it the ping.
func FromHAR(text string) (Draft, error) {
	if len(text) > MaxText {
		return Draft{}, tooLong(len(text), MaxText, "Export the HAR without the content of pictures and scripts.")
	}
	var file harFile
	if err := json.Unmarshal([]byte(text), &file); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return Draft{}, unreadable("The HAR file is not whole: %s, at byte %d. Paste all of it, or choose the file.", syntax, syntax.Offset)
		}
		return Draft{}, unreadable("This JSON is no HAR file. In the browser's network tab, choose “Save all as HAR”, with its content.")
	}
	if len(file.Log.Entries) == 0 {
		return Draft{}, unreadable("The HAR file holds no requests. Open the browser's network tab, tick “Preserve log”, sign in to the application, and export it then.")
	}
	var d Draft
	if len(file.Log.Entries) > maxEntries {
		file.Log.Entries = file.Log.Entries[:maxEntries]
		d.note(LeftOut, "The HAR file has more than %d requests; the first %[1]d were looked at.", maxEntries)
	}
	all := make([]*request, 0, len(file.Log.Entries))
	for _, entry := range file.Log.Entries {
		if r := entry.request(); r != nil {
			all = append(all, r)
		}
	}
	return d.ofSeveral(all)
}

// request reads an entry; nil where it is none of HTTP.
func (e harEntry) request() *request {
	u, err := url.Parse(e.Request.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil
	}
	u.Fragment, u.RawFragment, u.User = "", "", nil
	r := &request{method: strings.ToUpper(e.Request.Method), url: u, header: headerOf(e.Request.Headers)}
	if len(e.Request.Cookies) > 0 && field(r.header, "Cookie") == "" {
		r.header = append(r.header, connection.Header{Name: "Cookie", Value: "recorded=1"})
	}
	if post := e.Request.PostData; post != nil {
		r.body = post.Text
		if field(r.header, "Content-Type") == "" && post.MimeType != "" {
			r.header = append(r.header, connection.Header{Name: "Content-Type", Value: post.MimeType})
		}
		if len(post.Params) > 0 && (post.Text == "" || strings.HasPrefix(post.MimeType, "multipart/")) {
			r.fromFields(post.Params)
		}
	}
	a := &answer{status: e.Response.Status, header: headerOf(e.Response.Headers), mimeType: e.Response.Content.MimeType, text: e.Response.Content.Text}
	for _, c := range e.Response.Cookies {
		if field(a.header, "Set-Cookie") == "" {
			a.header = append(a.header, connection.Header{Name: "Set-Cookie", Value: c.Name + "=" + c.Value})
		}
	}
	if e.Response.Content.Encoding == "base64" {
		plain, err := base64.StdEncoding.DecodeString(a.text)
		if err != nil {
			plain = nil
		}
		a.text = string(plain)
	}
	r.answer = a
	return r
}

// fromFields writes the fields of a form as a connection can send them.
func (r *request) fromFields(fields []harPair) {
	pairs := make([]string, 0, len(fields))
	for _, f := range fields {
		// Browsers differ in whether the fields are escaped; those that are
		// still are once they were unescaped.
		name, value := f.Name, f.Value
		if plain, err := url.QueryUnescape(value); err == nil && strings.Contains(value, "%") {
			value = plain
		}
		pairs = append(pairs, url.QueryEscape(name)+"="+url.QueryEscape(value))
	}
	r.body = strings.Join(pairs, "&")
	r.header = slices.DeleteFunc(r.header, func(h connection.Header) bool { return strings.EqualFold(h.Name, "Content-Type") })
	r.header = append(r.header, connection.Header{Name: "Content-Type", Value: "application/x-www-form-urlencoded"})
}

func headerOf(pairs []harPair) []connection.Header {
	header := make([]connection.Header, 0, len(pairs))
	for _, p := range pairs {
		// Some browsers write all fields of one name on lines of one value.
		for line := range strings.SplitSeq(p.Value, "\n") {
			header = append(header, connection.Header{Name: p.Name, Value: strings.TrimSpace(line)})
		}
	}
	return header
}

// ofSeveral makes the draft of a recorded login.
func (d Draft) ofSeveral(all []*request) (Draft, error) {
	at := findLogin(all)
	if at < 0 {
		return d.withoutLogin(all)
	}
	login := all[at]
	base := baseOf(login.url)
	ping := findPing(all[at+1:], base)
	if ping != nil {
		base = common(base, baseOf(ping.url))
	}
	chained, first := d.chain(base, login, all[:at])
	d.begin(base, chained)
	d.signIn(base, chained)
	d.Spec.Auth.Cookie.Before, d.Spec.Auth.Cookie.SignOut = first, d.signOut(base, all[at+1:])
	if status := login.answer.status; status >= 300 && status < 400 {
		d.note(Check, "The login was answered by a redirect (%d). It is followed, and the page that it leads to counts; enter %[1]d as the success status code if a failed login is redirected as well.", status)
	}
	switch {
	case ping == nil:
		d.note(Check, "No later request was found that would do as a ping: enter a URI that answers only who is signed in, such as /me.")
	default:
		d.ping(base, ping)
		d.propose(ping)
	}
	d.missing()
	return d, nil
}

// signOut is the recorded request that ended the session; nil: none was.
func (d *Draft) signOut(base *url.URL, later []*request) *connection.SignOut {
	for _, r := range later {
		if !slices.Contains([]string{"POST", "GET", "PUT", "DELETE"}, r.method) || !connection.SameOrigin(base, r.url) || !succeeded(r.answer.status) || !logoutPath.MatchString(r.url.Path) {
			continue
		}
		d.note(Understood, "%s %s is the sign-out.", r.method, shorten(r.url.Path, 60))
		return &connection.SignOut{Method: r.method, URI: relative(base, r.url, d.hideQuery(r.url.RawQuery))}
	}
	return nil
}

var logoutPath = regexp.MustCompile(`(?i)(?:^|[/_.-])(?:log-?out|log-?off|sign-?out)(?:[/_.-]|$)`)

// succeeded reports whether a status is one of success or of a redirect.
func succeeded(status int) bool { return status >= 200 && status < 400 }

// withoutLogin is for a recording in which no password is sent: its requests
// may be signed in by a header.
func (d Draft) withoutLogin(all []*request) (Draft, error) {
	var signed []*request
	for _, r := range all {
		if field(r.header, "Authorization") != "" {
			signed = append(signed, r)
		}
	}
	if len(signed) == 0 {
		return d, unreadable("No request of the HAR file sends a password or has an Authorization header. Sign out, open the network tab with “Preserve log”, sign in, and export then. Browsers leave out passwords and cookies unless the export “with sensitive data” is chosen.")
	}
	r := findPing(signed, baseOf(signed[0].url))
	if r == nil {
		r = signed[len(signed)-1]
	}
	base := baseOf(r.url)
	d.begin(base, r)
	d.ping(base, r)
	d.propose(r)
	d.missing()
	return d, nil
}

// findLogin is the place of the request that signed in: the last that sent a
// password and was not refused, or else the last that sent one.
func findLogin(all []*request) int {
	best, bestWorth := -1, 0
	for i, r := range all {
		if r.method != "POST" && r.method != "PUT" && r.method != "GET" || !hasPassword(r) {
			continue
		}
		worth := 1
		if s := r.answer.status; s > 0 && s < 400 {
			worth += 2
		}
		if field(r.answer.header, "Set-Cookie") != "" {
			worth++
		}
		if worth >= bestWorth {
			best, bestWorth = i, worth
		}
	}
	return best
}

// common is the base URI that both lie below.
func common(a, b *url.URL) *url.URL {
	if !connection.SameOrigin(a, b) {
		return a
	}
	one, other := strings.Split(a.EscapedPath(), "/"), strings.Split(b.EscapedPath(), "/")
	n := 0
	for n < len(one) && n < len(other) && one[n] == other[n] {
		n++
	}
	base := &url.URL{Scheme: a.Scheme, Host: a.Host}
	setPath(base, strings.Join(one[:n], "/"))
	return base
}
