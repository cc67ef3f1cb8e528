package secret

import (
	"maps"
	"net/http"

	"sallyport/proto"
)

// Wrap is next with the secrets put into what reaches it. A request that needs
// none passes as it is.
func (st *Store) Wrap(next http.RoundTripper) http.RoundTripper {
	return &filler{store: st, next: next}
}

type filler struct {
	store *Store
	next  http.RoundTripper
}

func (w *filler) RoundTrip(req *http.Request) (*http.Response, error) {
	masks := req.Header[proto.HeaderMask]
	if len(req.Header[proto.HeaderFill]) == 0 && len(masks) == 0 {
		return w.next.RoundTrip(req)
	}
	f, refused := w.store.fill(req)
	if refused != nil {
		if req.Body != nil {
			_ = req.Body.Close() // nothing of it is sent
		}
		return nil, refused
	}
	f.learn(masks)
	resp, err := w.next.RoundTrip(f.out)
	if err != nil {
		return nil, f.known.inError(err)
	}
	resp.Request = req
	if len(masks) == 0 {
		return resp, nil // it is for a caller, and no business of ours
	}
	return f.masked(resp)
}

// learn has the secrets masked that the connection uses, if not in this
// request. Those that are not meant for this host are left out: masking would
// tell a relay that guesses whether it was right.
func (f *filling) learn(names []string) {
	for _, name := range names {
		if value, err := f.allowed(name); err == nil { // who can't have it can't look for it either
			f.known.add(name, value)
		}
	}
}

// inError is err with the secrets hidden in what is told of it.
func (n *needles) inError(err error) error {
	e := proto.AsError(err)
	if e == nil {
		return err
	}
	hidden := *e
	hidden.Detail, hidden.Hint = n.hide(e.Detail), n.hide(e.Hint)
	hidden.Facts = maps.Clone(e.Facts)
	for name, fact := range hidden.Facts {
		hidden.Facts[name] = n.hide(fact)
	}
	return &hidden
}
