package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"sallyport/agent/egress"
	"sallyport/internal/buildinfo"
	"sallyport/proto"
)

// relayClient sends small HTTP requests to the relay, and keeps its connection
// between them. A nil one can be closed.
type relayClient struct{ transport *http.Transport }

func (e *examination) newClient() *relayClient {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, _, err := e.open(ctx)
		return conn, err
	}
	return &relayClient{&http.Transport{
		DialContext: dial, DialTLSContext: dial, DisableCompression: true,
		MaxConnsPerHost: 1, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
	}}
}

func (c *relayClient) close() {
	if c != nil {
		c.transport.CloseIdleConnections()
	}
}

// answer is what the relay, or someone in its place, has answered.
type answer struct {
	status int
	header http.Header
	body   string // up to maxBody
	took   time.Duration
	bad    *egress.DialError // what it means, for an answer that is not a relay's
}

// maxBody is how much of an answer is looked at; a relay's are shorter.
const maxBody = 4 << 10

// get asks the relay for a path.
func (e *examination) get(ctx context.Context, path string) (*answer, error) {
	return e.ask(ctx, http.MethodGet, path)
}

func (e *examination) ask(ctx context.Context, method, path string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, e.Step)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, e.relay.JoinPath(path).String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "sallyport-agent/"+buildinfo.Version()+" (doctor)")
	local, started := e.Clock(), time.Now()
	resp, err := e.client.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	took := time.Since(started)
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, err
	}
	e.noteDate(resp.Header, local, took)
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	return &answer{
		status: resp.StatusCode, header: resp.Header, body: strings.TrimSpace(string(body)), took: took,
		bad: egress.BadAnswer(e.relay.Host, resp),
	}, nil
}

// answers finds out whether who answers is a Sallyport relay, and ready. The
// readiness page alone would not tell: a login page answers everything.
func (e *examination) answers(ctx context.Context) {
	e.client = e.newClient()
	e.onTheWay(CheckHTTP, hostOf(e.relay), func(r *Result) {
		ready, err := e.get(ctx, "readyz")
		if err != nil {
			explainDial(r, e.relay.Host, err, "Something on the way, or the relay, does not speak HTTP here: check the port, and devices that inspect traffic.")
			return
		}
		r.Facts["httpStatus"] = ready.status
		if server := ready.header.Get("Server"); server != "" {
			r.Facts["server"] = server // of a load balancer or proxy: the relay sends none
		}
		if ready.status != http.StatusOK && ready.status != http.StatusServiceUnavailable || looksLikePage(ready) {
			explainAnswer(r, e.relay.Hostname(), ready)
			return
		}
		door, err := e.get(ctx, proto.TunnelPath)
		if err != nil {
			explainDial(r, e.relay.Host, err, "The connection broke off between two requests: look at devices on the way.")
			return
		}
		r.Facts["tunnelStatus"] = door.status
		switch {
		case ready.status == http.StatusServiceUnavailable:
			r.warn(fmt.Sprintf("The relay answers, but is not ready (503): %s.", oneLine(ready.body)), waitForRelay)
		case door.status == http.StatusUpgradeRequired && door.header.Get("Sec-WebSocket-Protocol") != "":
			r.pass(fmt.Sprintf("A Sallyport relay answers, and is ready (%.1f ms).", ms(ready.took)))
		default:
			explainAnswer(r, e.relay.Hostname(), door)
			r.Message = fmt.Sprintf("%s answers, but not as a Sallyport relay: status %d at %s, where agents open their tunnels.", e.relay.Host, door.status, proto.TunnelPath)
		}
	})
}

const waitForRelay = "Wait a minute and run doctor again; if it stays like this, tell whoever runs the relay."

// explainAnswer settles r for an answer that is not a relay's.
func explainAnswer(r *Result, host string, a *answer) {
	r.Facts["fault"], r.Facts["httpStatus"] = string(a.bad.Fault), a.status
	if location := a.header.Get("Location"); location != "" {
		r.Facts["location"] = withoutSecrets(location)
	}
	remedy := "Check the relay's URL, its port and its path; a load balancer before it must pass every path on."
	switch a.bad.Fault {
	case egress.FaultPortal:
		remedy = "If this is a guests' network, sign in on its page first; if the relay has another address, use that; or have " + host + " exempted from the proxy's pages."
	case egress.FaultDenied:
		remedy = "Ask the network team to allow " + host + ": a filter answers like this, in the relay's place."
	case egress.FaultBusy:
		remedy = waitForRelay
	case egress.FaultProxyAuth:
		remedy = sentence(a.bad.Remedy)
	}
	r.fail(sentence(a.bad.Text), remedy)
}

// looksLikePage is for a web page where a relay answers one word.
func looksLikePage(a *answer) bool {
	return strings.Contains(a.header.Get("Content-Type"), "html") || strings.Contains(strings.ToLower(a.body), "<html")
}

// oneLine makes what someone else sent fit for a message.
func oneLine(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\uFFFD' }), " ")
	if runes := []rune(text); len(runes) > 200 {
		text = string(runes[:200]) + "…"
	}
	return strings.TrimRight(text, ". ")
}

// unverified fetches the relay's date where its certificate is refused for its
// dates, to tell whether this machine's clock is why. Nothing is sent but the
// question, and nothing of the answer is believed but its date, for a message.
func (e *examination) unverified(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, e.Step)
	defer cancel()
	raw, err := e.Egress.Dial(ctx, e.relay)
	if err != nil {
		return
	}
	defer raw.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = raw.SetDeadline(deadline)
	}
	conn := tls.Client(raw, &tls.Config{ServerName: e.relay.Hostname(), InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
	once := &http.Transport{DisableKeepAlives: true, DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.relay.JoinPath("healthz").String(), nil)
	if err != nil {
		return
	}
	local, started := e.Clock(), time.Now()
	resp, err := once.RoundTrip(req)
	if err != nil {
		return
	}
	_ = resp.Body.Close()
	e.noteDate(resp.Header, local, time.Since(started))
}
