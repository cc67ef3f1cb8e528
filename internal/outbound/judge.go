package outbound

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"sync"
)

// Judge decides for one request to which addresses it may go. It is carried in
// the request's context (WithJudge), so the rules of a site apply where nothing
// stands between an address and the kernel any more: not when a name is looked
// up, but when it is connected to. A name that resolves differently from one
// moment to the next gets round nothing.
//
// Whoever gives one leaves it out where a proxy connects to the target: only
// the proxy's own address would be seen here.
type Judge interface {
	// Address is called for each address before it is connected to. Its error
	// becomes the request's, if no other address will do; it is a *proto.Error.
	// Calls may come from several goroutines, and after the request has ended.
	Address(netip.Addr) error
	// Class says with whom the request may share connections.
	Class() Class
}

// Class is what requests have in common to which a Judge gives the same verdict
// on every address. A connection that was opened for one is used again only by
// requests of the same class, which would have been allowed to open it.
type Class struct {
	Generation uint64    // of the rules; a later one replaces all earlier ones
	Rules      [4]uint64 // those that apply to the request, one bit each
}

type judgeKey struct{}

// WithJudge is ctx with a judge for the request that is sent with it.
func WithJudge(ctx context.Context, j Judge) context.Context {
	return context.WithValue(ctx, judgeKey{}, j)
}

func judgeOf(ctx context.Context) Judge {
	j, _ := ctx.Value(judgeKey{}).(Judge)
	return j
}

// maxClasses is how many classes keep connections at once. Rules of a site
// mostly make one or two, and so do hosts with TLS settings of their own; the
// bound is for those that make hundreds.
const maxClasses = 32

// pools are the kept-alive connections, those of each class by themselves, and
// those with TLS settings of their own, and those of requests that allow more
// time to connect than usual.
type pools struct {
	build func(special HostTLS, patient bool) *http.Transport

	mu      sync.Mutex // guards the following
	classes []pool     // the one used last comes last
}

type pool struct {
	class   Class
	special HostTLS
	patient bool
	base    *http.Transport
}

// of is the pool of ctx's class, of a host's TLS settings, and of the patient.
func (p *pools) of(ctx context.Context, special HostTLS, patient bool) *http.Transport {
	var class Class
	if j := judgeOf(ctx); j != nil {
		class = j.Class()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.classes) - 1
	for i := last; i >= 0; i-- {
		if found := p.classes[i]; found.class == class && found.special == special && found.patient == patient {
			if i != last {
				p.classes = append(slices.Delete(p.classes, i, i+1), found)
			}
			return found.base
		}
	}
	p.classes = slices.DeleteFunc(p.classes, func(old pool) bool {
		outdated := old.class.Generation < class.Generation && old.class != Class{}
		if outdated {
			old.base.CloseIdleConnections()
		}
		return outdated
	})
	if len(p.classes) == maxClasses {
		p.classes[0].base.CloseIdleConnections()
		p.classes = slices.Delete(p.classes, 0, 1)
	}
	added := pool{class: class, special: special, patient: patient, base: p.build(special, patient)}
	p.classes = append(p.classes, added)
	return added.base
}

// closeIdle drops the connections that wait for a next request.
func (p *pools) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.classes {
		c.base.CloseIdleConnections()
	}
}
