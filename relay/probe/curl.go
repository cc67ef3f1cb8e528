package probe

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"sallyport/relay/connection"
	"sallyport/relay/road"
	"sallyport/relay/session"
)

// jarFile is where the commands keep cookies from one to the next.
const jarFile = "cookies.txt"

// command is the exchange as a curl command for a POSIX shell, to be run on the
// machine from which the request was sent. It sends what was sent, but for
// secrets, which are variables to be set first, and cookies, which are kept in a
// file: the sign-in's command writes it, and the ping's reads it.
func (m *mask) command(c *connection.Connection, step string, e *road.Exchange) string {
	if e == nil || len(e.Hops) == 0 {
		return ""
	}
	first := e.Hops[0]
	w := &curlWriter{mask: m}
	w.line("curl -sS -i" + methodOption(first) + " " + w.quoted(first.URL.String(), inURI))
	if followed(e) {
		w.line("-L")
	}
	w.headers(first.RequestHeader)
	w.digest(c)
	switch {
	case step == StepSignIn && c.Auth.Type == connection.AuthCookie && first.RequestHeader.Get("Cookie") != "":
		w.line("-b " + jarFile + " -c " + jarFile) // of the chain's first request
	case step == StepSignIn && c.Auth.Type == connection.AuthCookie:
		w.line("-c " + jarFile)
	case first.RequestHeader.Get("Cookie") != "" && c.Auth.Type.SignsIn():
		w.line("-b " + jarFile)
	case first.RequestHeader.Get("Cookie") != "":
		w.line(`-H 'Cookie: '"$COOKIE"`)
		w.use("COOKIE", inHeader)
	}
	w.body(first)
	return w.text()
}

// signInVariable begins the names of variables for values of a sign-in.
const signInVariable = "SIGNIN"

// signInCommand are the commands of a whole sign-in: a chain has two requests.
func (m *mask) signInCommand(c *connection.Connection, a *session.Attempt) string {
	commands := m.command(c, StepSignIn, a.Exchange)
	if a.First == nil {
		return commands
	}
	before := m.command(c, StepSignIn, a.First.Exchange)
	if commands == "" {
		return before
	}
	return before + "\n" + commands
}

// methodOption names the method where curl would not take it by itself.
func methodOption(hop road.Hop) string {
	switch {
	case hop.Method == http.MethodHead:
		return " -I"
	case hop.Method == http.MethodGet && hop.RequestBody == "", hop.Method == http.MethodPost:
		return "" // POST by its body, an empty one included
	}
	return " -X " + hop.Method
}

// followed reports whether redirects were followed, all on one origin: curl
// would carry the headers anywhere.
func followed(e *road.Exchange) bool {
	for _, hop := range e.Hops[1:] {
		if !connection.SameOrigin(e.Hops[0].URL, hop.URL) {
			return false
		}
	}
	return len(e.Hops) > 1
}

// spot is a place in a request, which has its own way to write a secret.
type spot int

const (
	inHeader  spot = iota // as it is
	inEncoded             // as it is: curl encodes it
	inURI
	inJSON
	inXML
	inText
)

// curlWriter writes one command.
type curlWriter struct {
	mask  *mask
	lines []string
	used  []string // variables, in their order
	notes []string // how each is to be written
}

func (w *curlWriter) line(text string) { w.lines = append(w.lines, text) }

// use notes that a variable stands in a place.
func (w *curlWriter) use(name string, at spot) {
	if !slices.Contains(w.used, name) {
		w.used = append(w.used, name)
	}
	how := map[spot]string{inURI: "percent-encoded", inJSON: `as the inside of a JSON string: \" for a quote`, inXML: "as XML text: &amp; for an ampersand, &lt; for a less-than sign"}[at]
	if note := fmt.Sprintf("# %s stands in the %s: write it %s.", name, map[spot]string{inURI: "URI", inJSON: "body", inXML: "body"}[at], how); how != "" && !slices.Contains(w.notes, note) {
		w.notes = append(w.notes, note)
	}
}

// quoted is a text as one word of the shell, secrets as variables in it.
func (w *curlWriter) quoted(text string, at spot) string { return w.word(w.mask.pieces(text), at) }

func (w *curlWriter) word(pieces []shellPiece, at spot) string {
	var b strings.Builder
	plain := ""
	flush := func() {
		if plain != "" {
			b.WriteString("'" + strings.ReplaceAll(strings.ReplaceAll(plain, "\x00", ""), "'", `'\''`) + "'")
			plain = ""
		}
	}
	for _, p := range pieces {
		plain += p.text
		if p.variable != "" {
			flush()
			w.use(p.variable, at)
			b.WriteString(`"$` + p.variable + `"`)
		}
	}
	flush()
	if b.Len() == 0 {
		return "''"
	}
	return b.String()
}

func (w *curlWriter) headers(h http.Header) {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "sallyport-") || lower == "cookie" {
			continue
		}
		for _, value := range h[name] {
			switch {
			case lower == "authorization" && w.credentials(value):
			case value == "":
				w.line("-H " + w.word([]shellPiece{{text: name + ";"}}, inHeader)) // an empty field
			default:
				pieces := append([]shellPiece{{text: name + ": "}}, w.mask.headerPieces(name, value)...)
				w.line("-H " + w.word(pieces, inHeader))
			}
		}
	}
}

// credentials writes Basic and Digest by curl's own option.
func (w *curlWriter) credentials(value string) bool {
	scheme, rest, _ := strings.Cut(value, " ")
	switch {
	case strings.EqualFold(scheme, "Basic"):
		plain, err := base64.StdEncoding.DecodeString(rest)
		name, password, found := strings.Cut(string(plain), ":")
		if err != nil || !found {
			return false
		}
		pieces := w.mask.pieces(password)
		if len(pieces) != 1 || pieces[0].variable == "" {
			pieces = []shellPiece{{variable: "PASSWORD"}}
		}
		w.line("-u " + w.word(append(append(w.mask.pieces(name), shellPiece{text: ":"}), pieces...), inHeader))
		return true
	case strings.EqualFold(scheme, "Digest"):
		return true // see digest
	}
	return false
}

// digest has curl answer the application's challenge itself: each is good once.
func (w *curlWriter) digest(c *connection.Connection) {
	if c.Auth.Type != connection.AuthDigest || c.Auth.Digest == nil {
		return
	}
	password := []shellPiece{{variable: "PASSWORD"}}
	if found := ownPlaceholder.FindStringSubmatch(c.Auth.Digest.Password); found != nil {
		password[0].variable = variableName("SECRET", found[1])
	}
	w.line("--digest -u " + w.word(append([]shellPiece{{text: c.Auth.Digest.Username + ":"}}, password...), inHeader))
}

var ownPlaceholder = regexp.MustCompile(`^\{\{\s*secret\.([\w.\-]+)\s*\}\}$`)

func (w *curlWriter) body(hop road.Hop) {
	contentType := hop.RequestHeader.Get("Content-Type")
	switch {
	case hop.RequestBody == "" && hop.Method == http.MethodPost:
		if contentType == "" {
			w.line("-H 'Content-Type:'")
		}
		w.line("--data-raw ''")
	case hop.RequestBody == "":
	case strings.HasPrefix(contentType, "application/x-www-form-urlencoded"):
		w.form(hop.RequestBody)
	default:
		at := inText
		switch formatOf(contentType, connection.Plain) {
		case formatJSON:
			at = inJSON
		case formatXML:
			at = inXML
		}
		w.line("--data-raw " + w.quoted(hop.RequestBody, at))
	}
}

// form writes the fields with secrets one by one, so that curl encodes them.
func (w *curlWriter) form(body string) {
	var plain []string
	flush := func() {
		if len(plain) > 0 {
			w.line("--data-raw " + w.word([]shellPiece{{text: strings.Join(plain, "&")}}, inText))
			plain = nil
		}
	}
	for pair := range strings.SplitSeq(body, "&") {
		pieces := w.mask.pieces(pair)
		name, rest, found := strings.Cut(pieces[0].text, "=")
		if len(pieces) == 1 && pieces[0].variable == "" || !found {
			plain = append(plain, pair)
			if slices.ContainsFunc(pieces, func(p shellPiece) bool { return p.variable != "" }) {
				plain = plain[:len(plain)-1] // the secret stands in the name
				flush()
				w.line("--data-raw " + w.word(pieces, inURI))
			}
			continue
		}
		flush()
		pieces[0].text = rest
		for i, p := range pieces {
			if text, err := url.QueryUnescape(p.text); err == nil {
				pieces[i].text = text
			}
		}
		w.line("--data-urlencode " + w.word(append([]shellPiece{{text: name + "="}}, pieces...), inEncoded))
	}
	flush()
}

// text is the command, with what has to be done before it.
func (w *curlWriter) text() string {
	var b strings.Builder
	for _, name := range w.used {
		if from := w.mask.origins[name]; from != "" {
			b.WriteString("# From " + from + ": read -r " + name + "\n")
			continue
		}
		b.WriteString("# First, for what is secret: read -r " + name + "\n")
	}
	for _, note := range w.notes {
		b.WriteString(note + "\n")
	}
	return b.String() + strings.Join(w.lines, " \\\n  ")
}
