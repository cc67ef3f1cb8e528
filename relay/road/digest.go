package road

import (
	"context"
	"crypto/sha256"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/icholy/digest"

	"sallyport/proto"
	"sallyport/relay/connection"
)

// digestRoad answers the challenges of Digest authentication (RFC 7616) on a
// road that knows nothing of it. A 401 says that a request was not acted on, so
// it is sent once more with the proof that was asked for; the nonce is
// remembered, so that later requests carry their proof at once.
//
// A request whose body can't be sent again never goes out without the proof, as
// far as that can be helped: a HEAD, which has no body and changes nothing, asks
// for the challenge first.
type digestRoad struct {
	rt http.RoundTripper
	c  *connection.Connection
	*nonces
}

// nonces is what is remembered for one connection.
type nonces struct {
	credentials [sha256.Size]byte // of those that it was remembered for

	mu        sync.Mutex        // guards the following
	challenge *digest.Challenge // nil: none yet
	count     int               // requests with its nonce so far
}

// digests holds the nonces of saved connections.
type digests struct {
	mu    sync.Mutex // guards the following
	known map[string]*nonces
}

// maxNonces bounds for how many connections nonces are remembered. Forgetting
// one costs a round trip.
const maxNonces = 4096

// over is rt with the connection's Digest authentication.
func (d *digests) over(rt http.RoundTripper, c *connection.Connection) http.RoundTripper {
	r := &digestRoad{rt: rt, c: c, nonces: d.of(c)}
	if patient, ok := rt.(Patient); ok {
		return patientDigest{r, patient}
	}
	return r
}

func (d *digests) of(c *connection.Connection) *nonces {
	sum := sha256.New()
	for _, part := range []string{c.BaseURI, c.Auth.Digest.Username, c.Auth.Digest.Password} {
		sum.Write([]byte(part + "\x00"))
	}
	for _, name := range connection.Placeholders(c.Spec) {
		sum.Write([]byte(name + "\x00" + c.Secrets[name] + "\x00"))
	}
	n := &nonces{}
	sum.Sum(n.credentials[:0])
	if c.ID == "" { // a draft is tested once
		return n
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if known := d.known[c.ID]; known != nil && known.credentials == n.credentials {
		return known
	}
	if d.known == nil || len(d.known) >= maxNonces {
		d.known = make(map[string]*nonces)
	}
	d.known[c.ID] = n
	return n
}

// patientDigest keeps a patient road patient.
type patientDigest struct {
	*digestRoad
	patient Patient
}

func (d patientDigest) Await(ctx context.Context, wait time.Duration) (time.Duration, error) {
	return d.patient.Await(ctx, wait)
}

func (d patientDigest) MostWait() time.Duration { return d.patient.MostWait() }

// repeatable is the longest body that is sent without a proof in the hope of an
// answer that is none, in bytes: what callers' bodies are kept of.
const repeatable = 64 << 10

func (d *digestRoad) RoundTrip(req *http.Request) (*http.Response, error) {
	// The proof is for the application alone, and a configured header is meant
	// instead of it.
	if home, err := atHome(d.c, req.URL); err != nil || !home || req.Header["Authorization"] != nil {
		return d.rt.RoundTrip(req)
	}
	username, password, err := d.c.DigestCredentials()
	if err != nil {
		return nil, unfilled("the credentials", err)
	}
	by := prover{digestRoad: d, username: username, password: password}
	if req.Body != nil && req.Body != http.NoBody && (req.GetBody == nil || req.ContentLength < 0 || req.ContentLength > repeatable) {
		if err := by.ask(req); err != nil {
			return nil, err
		}
		return by.send(req, false)
	}
	return by.send(req, true)
}

// prover proves to know one user's password.
type prover struct {
	*digestRoad
	username, password string
}

// ask learns the challenge by a request that changes nothing.
func (p prover) ask(req *http.Request) error {
	head := req.WithContext(req.Context())
	head.Method, head.Body, head.GetBody, head.ContentLength, head.Trailer, head.TransferEncoding = http.MethodHead, nil, nil, 0, nil, nil
	head.Header = req.Header.Clone()
	for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Language", "Content-Location", proto.HeaderFill} {
		delete(head.Header, name)
	}
	for _, line := range req.Header[proto.HeaderFill] {
		if f, err := proto.ParseFill(line); err == nil && f.Place != proto.FillInBody {
			head.Header[proto.HeaderFill] = append(head.Header[proto.HeaderFill], line)
		}
	}
	resp, err := p.send(head, true)
	if err != nil {
		failure := Failure(req.Context(), err)
		failure.Outcome = proto.OutcomeNotSent // the request itself was not
		return failure
	}
	discard(resp.Body)
	return nil
}

// send sends a request with a proof, where a nonce is known, and once more
// where the application asks for another one.
func (p prover) send(req *http.Request, again bool) (*http.Response, error) {
	first, err := p.proven(req)
	if err != nil {
		return nil, err
	}
	resp, err := p.rt.RoundTrip(first)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusUnauthorized {
		p.proceed(resp)
		return resp, nil
	}
	if !p.learn(resp) || !again {
		return resp, nil
	}
	second, err := p.proven(req)
	if err != nil {
		return nil, err
	}
	if req.Body != nil && req.Body != http.NoBody {
		if second.Body, err = req.GetBody(); err != nil {
			return resp, nil // too long to have been kept: the 401 is the answer
		}
	}
	discard(resp.Body)
	if resp, err = p.rt.RoundTrip(second); err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusUnauthorized {
		p.forget() // a wrong password is not to be tried twice each time
	} else {
		p.proceed(resp)
	}
	return resp, nil
}

// proven is req with the proof for the nonce that is known; req itself where
// none is.
func (p prover) proven(req *http.Request) (*http.Request, error) {
	p.mu.Lock()
	challenge := p.challenge
	if challenge != nil {
		p.count++
	}
	count := p.count
	p.mu.Unlock()
	if challenge == nil {
		return req, nil
	}
	proof, err := digest.Digest(challenge, digest.Options{
		Method: req.Method, URI: req.URL.RequestURI(), GetBody: req.GetBody, Count: count, Username: p.username, Password: p.password,
	})
	if err != nil {
		return nil, invalid("The proof that the application asks for can't be made.", err)
	}
	with := req.WithContext(req.Context())
	with.Header = req.Header.Clone()
	with.Header["Authorization"] = []string{proof.String()}
	return with, nil
}

// learn takes the challenge of a 401, and reports whether there is one that can
// be answered.
func (p prover) learn(resp *http.Response) bool {
	challenge := strongest(resp.Header)
	p.mu.Lock()
	defer p.mu.Unlock()
	if challenge == nil {
		return false
	}
	if p.challenge == nil || p.challenge.Nonce != challenge.Nonce {
		p.count = 0 // of one that others got as well, the count goes on
	}
	p.challenge = challenge
	return true
}

func (p prover) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.challenge, p.count = nil, 0
}

// proceed changes to the nonce that an answer names for the next request
// (RFC 7616, section 3.5).
func (p prover) proceed(resp *http.Response) {
	next := nextNonce.FindStringSubmatch(strings.Join(resp.Header["Authentication-Info"], ","))
	if next == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.challenge != nil && p.challenge.Nonce != next[1] {
		changed := *p.challenge
		changed.Nonce = next[1]
		p.challenge, p.count = &changed, 0
	}
}

var nextNonce = regexp.MustCompile(`(?i)(?:^|[,\s])nextnonce\s*=\s*"?([^",\s]+)`)

// strongest is the challenge with the best algorithm of those that can be
// answered, nil where there is none. Only proofs over method and URI (qop=auth,
// or none) are made: one over the body would need it beforehand.
func strongest(h http.Header) *digest.Challenge {
	var best *digest.Challenge
	for _, line := range h.Values("WWW-Authenticate") {
		if !digest.IsDigest(line) {
			continue
		}
		c, err := digest.ParseChallenge(line)
		if err != nil {
			continue
		}
		for i, qop := range c.QOP {
			c.QOP[i] = strings.ToLower(strings.TrimSpace(qop))
		}
		if !digest.CanDigest(c) || len(c.QOP) > 0 && !c.SupportsQOP("auth") {
			continue
		}
		if best == nil || strength(c) > strength(best) {
			best = c
		}
	}
	return best
}

func strength(c *digest.Challenge) int {
	switch strings.ToUpper(c.Algorithm) {
	case "SHA-512", "SHA-512-256":
		return 2
	case "SHA-256":
		return 1
	default:
		return 0
	}
}
