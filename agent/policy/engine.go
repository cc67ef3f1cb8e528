package policy

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/outbound"
	"sallyport/proto"
)

// Resolver looks up a name's addresses, as *net.Resolver does.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Options configure an Engine.
type Options struct {
	// Proxy is the proxy on the way to a target, nil for none. What goes through
	// one is decided by name alone, since the proxy looks it up.
	Proxy func(*http.Request) (*url.URL, error)
	// Resolver is asked only where the address decides which rule's limits hold
	// for a request. Required.
	Resolver Resolver
	// Allowed is told which rule allowed a request; nil: nobody wants to know. ctx
	// is the request's. It is not called for what the default allows, and of a rule
	// for a network only where a connection is opened for the request.
	Allowed func(ctx context.Context, rule string)
	Clock   func() time.Time // nil means time.Now
}

// Engine applies a policy to requests. It is safe for concurrent use.
type Engine struct {
	opts    Options
	current atomic.Pointer[edition]
}

// edition is a policy and how many there were before it.
type edition struct {
	policy     *Policy
	generation uint64
}

// NewEngine makes an Engine that applies p.
func NewEngine(p *Policy, o Options) *Engine {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	e := &Engine{opts: o}
	e.current.Store(&edition{policy: p, generation: 1})
	return e
}

// Policy is the one that applies now.
func (e *Engine) Policy() *Policy { return e.current.Load().policy }

// Replace applies p from the next request on. Requests under way go on; the
// connections that earlier ones opened are not used again. A rule that stays the
// same keeps count of its rate.
func (e *Engine) Replace(p *Policy) {
	for {
		old := e.current.Load()
		buckets := make(map[string]*Rule, len(old.policy.rules))
		for _, r := range old.policy.rules {
			buckets[r.text] = r
		}
		next := &Policy{rules: make([]*Rule, len(p.rules)), allow: p.allow, version: p.version}
		for i, r := range p.rules {
			kept := *r
			if same := buckets[r.text]; same != nil {
				kept.bucket = same.bucket
			}
			next.rules[i] = &kept
			if kept.bit > 0 {
				next.addresses = append(next.addresses, &kept)
			}
		}
		if e.current.CompareAndSwap(old, &edition{policy: next, generation: old.generation + 1}) {
			return
		}
	}
}

// Wrap is next behind the policy: what is refused does not reach it.
func (e *Engine) Wrap(next http.RoundTripper) http.RoundTripper {
	return e.WrapVia(e.opts.Proxy, next)
}

// WrapVia is Wrap where next goes by another proxy than Options.Proxy.
func (e *Engine) WrapVia(proxy func(*http.Request) (*url.URL, error), next http.RoundTripper) http.RoundTripper {
	return &gate{engine: e, proxy: proxy, next: next}
}

type gate struct {
	engine *Engine
	proxy  func(*http.Request) (*url.URL, error) // on the way from next; nil: none
	next   http.RoundTripper
}

func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	j := &judgement{}
	j.proxied = g.proxied(req)
	if refused := g.engine.admit(j, req); refused != nil {
		if req.Body != nil {
			_ = req.Body.Close() // nothing of it was used
		}
		return nil, refused
	}
	ctx := req.Context()
	if allowed := g.engine.opts.Allowed; allowed != nil {
		if j.allowing != nil {
			allowed(ctx, j.allowing.text)
		} else {
			j.allowed = func(r *Rule) { allowed(ctx, r.text) } // by its address, maybe
		}
	}
	if !j.proxied {
		ctx = outbound.WithJudge(ctx, j)
	}
	out := req.WithContext(ctx)
	// Net/http takes a length of 0 beside a body for an unknown one.
	if r := j.allowing; r != nil && r.body != 0 && req.ContentLength <= 0 && req.Body != nil && req.Body != http.NoBody {
		out.GetBody = nil // it would be one without bounds
		out.Body = &boundedBody{ReadCloser: req.Body, left: r.body, over: func() error { return r.overBody(&j.asked, "") }}
	}
	return g.next.RoundTrip(out)
}

// judgement is a request before the policy. It is the request's outbound.Judge.
type judgement struct {
	asked      asked
	decision   decision
	generation uint64
	proxied    bool
	allowing   *Rule       // that is known to allow it, and whose limits hold; nil: none is yet
	allowed    func(*Rule) // to be told by Address; nil: nobody

	mu sync.Mutex // held while a refusal is written: addresses may be tried side by side
}

func (j *judgement) Class() outbound.Class {
	return outbound.Class{Generation: j.generation, Rules: j.decision.applies}
}

func (j *judgement) Address(addr netip.Addr) error {
	v := j.decision.at(addr)
	if v.allowed {
		if j.allowed != nil && v.rule != nil {
			j.allowed(v.rule)
		}
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.decision.refusal(v)
}

// admit decides whether the request may be sent, as far as that can be known
// before there is a connection.
func (e *Engine) admit(j *judgement, req *http.Request) error {
	current := e.current.Load()
	j.generation = current.generation
	j.asked.ask(req)
	j.decision = current.policy.decide(&j.asked)
	v, decided := j.decision.early(j.proxied)
	switch {
	case decided && !v.allowed:
		return j.decision.refusal(v)
	case decided:
		j.allowing = v.rule
	case j.decision.mayAllow && j.decision.limited:
		j.allowing = e.lookUp(req.Context(), &j.decision)
	case !j.decision.mayAllow:
		j.allowing = j.decision.byName
	}
	if r := j.allowing; r != nil && r.limited() {
		return e.limit(r, j, req)
	}
	return nil
}

// proxied says whether a proxy is on the way.
func (g *gate) proxied(req *http.Request) bool {
	if g.proxy == nil {
		return false
	}
	proxy, err := g.proxy(req)
	return err == nil && proxy != nil
}

// lookUp finds the rule that allows a request by its address; where the name
// has none that may be reached, connecting will say so.
func (e *Engine) lookUp(ctx context.Context, d *decision) *Rule {
	addresses, _ := e.opts.Resolver.LookupNetIP(ctx, "ip", d.asked.host)
	for _, addr := range addresses {
		if v := d.at(addr); v.allowed {
			return v.rule
		}
	}
	return nil
}

// limit applies the limits of the rule that allows the request.
func (e *Engine) limit(r *Rule, j *judgement, req *http.Request) error {
	if r.body != 0 && req.ContentLength > r.body {
		return r.overBody(&j.asked, proto.OutcomeNotSent)
	}
	if r.bucket == nil {
		return nil
	}
	now := e.opts.Clock()
	place := r.bucket.ReserveN(now, 1)
	if wait := place.DelayFrom(now); wait > 0 {
		place.CancelAt(now)
		return r.overRate(&j.asked, wait)
	}
	return nil
}

// boundedBody ends with an error where the body is larger than allowed.
type boundedBody struct {
	io.ReadCloser
	left int64
	over func() error
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, b.over()
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one more, to tell a body that ends here from one that goes on
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, b.over()
	}
	return n, err
}
