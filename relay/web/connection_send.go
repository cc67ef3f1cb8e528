package web

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/edge"
	"sallyport/relay/gateway"
	"sallyport/relay/probe"
)

// answerLimit is how much of an answer's body the page shows, in bytes.
const answerLimit = 256 << 10

// sendView is the panel "Send a request".
type sendView struct {
	Method, Path, Body, PathError string
	Answer                        *answerView
}

// Methods are those that the panel offers; style.css shows the body field for
// the third to fifth.
func (sendView) Methods() []string {
	return []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
}

func (v sendView) withDefaults() sendView {
	if v.Method == "" {
		v.Method = http.MethodGet
	}
	return v
}

// answerView is what came back.
type answerView struct {
	Status      int
	Headers     []probe.Header
	Body        string
	NoBody      string // why there is no text to show
	Size, Shown string
	Truncated   bool
	DurationMs  float64
	Waterfall   []bar
	Refused     *proto.Error // Sallyport answered, not the application
}

// StatusClass is the status line's shape.
func (v answerView) StatusClass() string {
	switch {
	case v.Status >= 400:
		return "failed"
	case v.Status >= 300:
		return "skipped"
	}
	return "ok"
}

// OutcomeText says how far a refused request got.
func (v answerView) OutcomeText() string { return outcomeText(string(v.Refused.Outcome)) }

// sendRequest sends what the panel holds through the gateway, as a program
// would by the API, and shows the answer.
func (h *handler) sendRequest(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	if err := mayEdit(actor, "send requests"); err != nil {
		return err
	}
	if err := parseForm(r); err != nil {
		return err
	}
	send := sendView{Method: r.PostForm.Get("method"), Path: strings.TrimSpace(r.PostForm.Get("path")),
		Body: strings.ReplaceAll(r.PostForm.Get("body"), "\r\n", "\n")}
	c, err := h.Registry.Resolve(r.Context(), actor, r.PathValue("id"))
	if err != nil {
		return err
	}
	request, path, query, fault := send.request(r.Context(), c)
	if fault != "" {
		send.PathError = fault
		return h.connectionPage(w, r, actor, http.StatusUnprocessableEntity, connectionExtras{send: send})
	}
	recorded := &recorder{header: http.Header{}}
	start := h.Clock()
	h.serveThrough(recorded, request, c, gateway.Caller{Kind: actor.Kind, ID: actor.ID, Name: actor.Name}, path, query, edge.RequestID(r.Context()))
	send.Answer = recorded.answer(float64(h.Clock().Sub(start).Microseconds()) / 1000)
	return h.connectionPage(w, r, actor, http.StatusOK, connectionExtras{send: send})
}

// serveThrough calls the gateway, which ends by a panic where an answer was
// cut: here because no more of it is shown, or because it broke off.
func (h *handler) serveThrough(w *recorder, r *http.Request, c *connection.Connection, caller gateway.Caller, path, query, requestID string) {
	defer func() {
		if fault := recover(); fault != nil {
			if fault != http.ErrAbortHandler {
				panic(fault)
			}
			w.cut = true
		}
	}()
	h.Gateway.Serve(w, r, c, caller, path, query, requestID)
}

// request is what the panel describes; fault says what is wrong with its path.
func (v sendView) request(ctx context.Context, c *connection.Connection) (r *http.Request, path, query, fault string) {
	known := false
	for _, m := range v.Methods() {
		known = known || m == v.Method
	}
	if !known {
		return nil, "", "", "Choose one of the methods in the list."
	}
	if u, err := url.Parse(v.Path); err != nil || u.IsAbs() || u.Host != "" {
		return nil, "", "", "Enter a path relative to the base URI, such as /orders?limit=10."
	}
	target, _, _ := strings.Cut(v.Path, "#") // a fragment is never sent
	path, query, _ = strings.Cut(target, "?")
	path = strings.TrimPrefix(path, "/")
	r, err := http.NewRequestWithContext(ctx, v.Method, "/", nil)
	if err != nil {
		return nil, "", "", "This request can’t be made: " + err.Error() + "."
	}
	if v.Body != "" && v.Method != http.MethodGet && v.Method != http.MethodHead {
		body := strings.NewReader(v.Body)
		r, err = http.NewRequestWithContext(ctx, v.Method, "/", body)
		if err != nil {
			return nil, "", "", "This request can’t be made: " + err.Error() + "."
		}
		r.Header.Set("Content-Type", c.MediaType.ContentType())
	}
	return r, path, query, ""
}

// recorder keeps the beginning of an answer and refuses the rest, which makes
// the gateway let go of it.
type recorder struct {
	header    http.Header
	sent      http.Header
	status    int
	body      []byte
	truncated bool
	cut       bool
}

var errEnough = errors.New("no more of the answer is shown")

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	room := answerLimit - len(w.body)
	if len(p) > room {
		w.body = append(w.body, p[:room]...)
		w.truncated = true
		return room, errEnough
	}
	w.body = append(w.body, p...)
	return len(p), nil
}

// Flush lets the gateway stream: everything is here already.
func (w *recorder) Flush() {}

func (w *recorder) answer(ms float64) *answerView {
	v := &answerView{Status: w.status, DurationMs: ms, Truncated: w.truncated, Shown: size(answerLimit), Size: size(len(w.body))}
	timings := w.sent.Values("Server-Timing")
	if len(timings) > 0 {
		v.Waterfall = serverTiming(timings[len(timings)-1]) // ours is the last
	}
	if code := w.sent.Get(proto.HeaderError); code != "" {
		v.Refused = &proto.Error{Code: proto.Code(code), Detail: "The request was not answered by the application."}
		_ = json.Unmarshal(w.body, v.Refused) // the code alone says enough, if this fails
		return v
	}
	if w.truncated {
		v.Size = "more than " + v.Shown
	} else if w.cut {
		v.Size += ", then the application broke off"
	}
	for name, values := range w.sent {
		for _, value := range values {
			if strings.HasPrefix(name, proto.HeaderPrefix) || name == "Server-Timing" && value == timings[len(timings)-1] || name == "Content-Security-Policy" && value == "sandbox" {
				continue // added by the gateway, for browsers
			}
			v.Headers = append(v.Headers, probe.Header{Name: name, Value: value})
		}
	}
	sort.SliceStable(v.Headers, func(i, j int) bool { return v.Headers[i].Name < v.Headers[j].Name })
	v.Body, v.NoBody = shownBody(w.body, w.sent.Get("Content-Type"), w.truncated)
	return v
}

// shownBody is a body as text, or why it is none.
func shownBody(body []byte, contentType string, truncated bool) (text, none string) {
	if len(body) == 0 {
		return "", "empty"
	}
	for i := 0; truncated && i < utf8.UTFMax && !utf8.Valid(body); i++ {
		body = body[:len(body)-1] // a character cut in two
	}
	if !utf8.Valid(body) {
		return "", size(len(body)) + " that are not text"
	}
	kind, _, _ := mime.ParseMediaType(contentType)
	if !truncated && (kind == "application/json" || strings.HasSuffix(kind, "+json")) {
		if pieces := pickable(string(body)); pieces != nil {
			var b strings.Builder
			for _, p := range pieces {
				b.WriteString(p.Text)
				b.WriteString(p.Value)
			}
			return b.String(), ""
		}
	}
	return string(body), ""
}

// serverTiming reads our own Server-Timing value (W3C Server Timing).
func serverTiming(value string) []bar {
	ms := map[string]float64{}
	for _, metric := range strings.Split(value, ",") {
		name, rest, _ := strings.Cut(strings.TrimSpace(metric), ";")
		if duration, ok := strings.CutPrefix(rest, "dur="); ok {
			ms[name], _ = strconv.ParseFloat(duration, 64)
		}
	}
	bars := waterfallOf(ms["total"]-ms["signin"]-ms["queue"]-ms["retry"], probe.Timing{DNSMs: ms["dns"], ConnectMs: ms["connect"], TLSMs: ms["tls"], WaitMs: ms["wait"], TunnelMs: ms["tunnel"]})
	return bars
}

func size(bytes int) string {
	switch {
	case bytes < 1024:
		return plural(bytes, "byte")
	case bytes < 1<<20:
		return strconv.Itoa(bytes>>10) + " KB"
	}
	return strconv.FormatFloat(float64(bytes)/(1<<20), 'f', 1, 64) + " MB"
}
