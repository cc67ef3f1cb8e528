package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sallyport/proto"
	"sallyport/relay/result"
)

const (
	// lingering is how long a request with an idempotency key goes on when its
	// caller has left: he will ask for its result.
	lingering = 5 * time.Minute
	// settling is how long a repeated request waits for a result that is just
	// being stored.
	settling = 2 * time.Second
	// keepTimeout bounds a write to the store.
	keepTimeout = 10 * time.Second
)

// keyed is a request with an idempotency key
// (draft-ietf-httpapi-idempotency-key-header): the first of its key is sent, and
// its result kept; a repeated one gets that result. It reads the caller's body,
// to tell his requests apart.
type keyed struct {
	key  result.Key
	flow *flow // nil: not the first, or not known to be yet

	body io.Reader
	sum  hash.Hash
	size int64
	end  bool

	cancel context.CancelFunc
	stop   func() bool
	timer  atomic.Pointer[time.Timer] // once the caller has left

	repeated bool
	result   result.Result
	whole    bool // the answer has come to its end
}

// flow is a request under way at this relay.
type flow struct {
	answered atomic.Bool   // the caller is getting the answer
	done     chan struct{} // closed when its result has been stored
}

// flows are those of one relay, by their keys.
type flows struct {
	mu sync.Mutex
	m  map[result.Key]*flow
}

// enter returns a new flow, or the one that is there.
func (f *flows) enter(key result.Key) (mine, other *flow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if other := f.m[key]; other != nil {
		return nil, other
	}
	if f.m == nil {
		f.m = make(map[result.Key]*flow)
	}
	mine = &flow{done: make(chan struct{})}
	f.m[key] = mine
	return mine, nil
}

func (f *flows) leave(key result.Key, mine *flow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.m, key)
	close(mine.done)
}

// takeKey takes up the request's idempotency key, if it has one and its method
// needs it. Such a request goes on when its caller leaves.
func (p *passage) takeKey() *proto.Error {
	values := p.r.Header["Idempotency-Key"]
	if len(values) == 0 || p.g.results == nil || p.r.Method != http.MethodPost && p.r.Method != http.MethodPatch {
		return nil
	}
	key, err := idempotencyKey(values)
	if err != nil {
		return err
	}
	k := &keyed{sum: sha256.New(), end: p.r.ContentLength == 0}
	k.key = result.Key{WorkspaceID: p.c.WorkspaceID, ConnectionID: p.c.ID, Caller: p.caller.Kind + " " + p.caller.ID, Key: key}
	p.ctx, k.cancel = context.WithCancel(context.WithoutCancel(p.r.Context()))
	k.stop = context.AfterFunc(p.r.Context(), func() { k.timer.Store(time.AfterFunc(lingering, k.cancel)) })
	p.key = k
	return nil
}

// maxKey is the longest key, in bytes.
const maxKey = 255

// idempotencyKey reads the field: a string of structured fields (RFC 9651,
// section 3.3.3), or a bare word, as many write it.
func idempotencyKey(values []string) (string, *proto.Error) {
	key := strings.TrimSpace(values[0])
	if strings.HasPrefix(key, `"`) {
		if key = unquoted(key); strings.TrimSpace(key) == "" {
			values = nil
		}
	}
	odd := func(c rune) bool { return c < ' ' || c > '~' }
	if len(values) != 1 || key == "" || len(key) > maxKey || strings.ContainsFunc(key, odd) {
		e := invalid(fmt.Sprintf("Idempotency-Key is not a key of 1 to %d printable characters, given once.", maxKey))
		e.Hint = `Send a fresh UUID for each new request, such as Idempotency-Key: "8e03978e-40d5-43e8-bc93-6894a57f9324".`
		return "", e
	}
	return key, nil
}

// Read reads the caller's body.
func (k *keyed) Read(into []byte) (int, error) {
	n, err := k.body.Read(into)
	k.sum.Write(into[:n]) // it never fails
	k.size += int64(n)
	k.end = k.end || err == io.EOF
	return n, err
}

// fingerprint is the request's, as far as its body has been read.
func (p *passage) fingerprint() result.Fingerprint {
	f := result.Fingerprint{Method: p.r.Method, Target: p.rawPath + "?" + p.rawQuery}
	if k := p.key; k.end || k.size == p.r.ContentLength {
		f.Body = k.sum.Sum(nil)
	}
	return f
}

// first enters the request under its key. It returns an answer or a failure
// where there is one of an earlier request, or it can't be told.
func (p *passage) first() (*http.Response, *proto.Error) {
	k := p.key
	if k == nil {
		return nil, nil
	}
	for waited := false; ; waited = true {
		mine, other := p.g.flows.enter(k.key)
		if mine != nil {
			k.flow = mine
			break
		}
		if waited || !other.answered.Load() {
			return nil, p.stillRunning()
		}
		timer := time.NewTimer(settling)
		select {
		case <-other.done:
		case <-timer.C:
		case <-p.ctx.Done():
		}
		timer.Stop()
	}
	known, err := p.g.results.BeginResult(p.ctx, k.key)
	if err == nil && known == nil {
		return nil, nil
	}
	p.g.flows.leave(k.key, k.flow)
	k.flow, k.repeated = nil, err == nil
	switch {
	case err != nil:
		return nil, p.unkeyed(err)
	case known.Running:
		return nil, p.stillRunning()
	case known.Result == nil:
		return nil, &proto.Error{Code: proto.CodeInternal, Reason: ReasonResultLost, Outcome: proto.OutcomeUnknown,
			Detail: "The first request with this Idempotency-Key was sent by a relay that stopped before its result was known.",
			Hint:   "The application may have acted on it: look there, and send the request with a fresh key if it has not."}
	}
	return p.replayed(known.Result)
}

// replayed is the result of the first request.
func (p *passage) replayed(r *result.Result) (*http.Response, *proto.Error) {
	if p.body != nil {
		if _, err := io.Copy(io.Discard, p.body.attempt()); err != nil {
			return nil, p.failure(err)
		}
	}
	if !p.fingerprint().Matches(r.Request) {
		p.key.repeated = false
		return nil, &proto.Error{Code: proto.CodeValidation, Reason: ReasonKeyReused, Outcome: proto.OutcomeNotSent,
			Detail: "This Idempotency-Key was used for another request: its method, path, query or body was not the same.",
			Hint:   "Send a fresh key with each new request. Nothing was sent."}
	}
	switch {
	case r.Error != nil:
		return nil, r.Error
	case r.TooLarge:
		return nil, &proto.Error{Code: proto.CodeConflict, Reason: ReasonResultNotKept, Outcome: proto.OutcomeSent,
			Detail: fmt.Sprintf("The first request with this Idempotency-Key was answered %d, and the answer is longer than the %d KiB that are kept. The request was not sent again.", r.Status, resultLimit>>10),
			Hint:   "Read from the application what the request has done.",
			Facts:  map[string]string{"status": fmt.Sprint(r.Status)}}
	}
	resp := &http.Response{StatusCode: r.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: r.Header, Trailer: r.Trailer,
		ContentLength: int64(len(r.Body)), Body: io.NopCloser(bytes.NewReader(r.Body))}
	if len(r.Trailer) > 0 {
		resp.ContentLength = -1 // trailers need chunks
	}
	return resp, nil
}

// settle stores what became of the request that was the first of its key, or
// frees the key where it came to nothing.
func (p *passage) settle() {
	k := p.key
	if k == nil {
		return
	}
	k.stop()
	if timer := k.timer.Load(); timer != nil {
		timer.Stop()
	}
	k.cancel()
	if k.flow == nil {
		return
	}
	defer p.g.flows.leave(k.key, k.flow)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.r.Context()), keepTimeout)
	defer cancel()
	var err error
	if k.cameToNothing() {
		err = p.g.results.FreeResult(ctx, k.key)
	} else {
		k.result.Request, k.result.At = p.fingerprint(), p.g.clock().UTC()
		err = p.g.results.KeepResult(ctx, k.key, k.result)
	}
	if err != nil {
		p.g.log.Error("the result of a request with an idempotency key can't be stored", zap.String("connection", p.c.ID),
			zap.String("request_id", p.requestID), zap.Error(err))
	}
}
