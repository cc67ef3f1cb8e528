package egress

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
)

// scheme answers the challenges of one way to log in.
type scheme interface {
	// answer is what follows the scheme's name in Proxy-Authorization. The first
	// call answers the offer, later ones answer what came back.
	answer(ctx context.Context, c challenge) (string, error)
	// again reports whether what came back goes on with the login; otherwise it
	// refuses it.
	again(c challenge) bool
	// bound reports whether the login is in the middle of what only this one
	// connection knows of.
	bound() bool
	close()
}

// kind is a scheme that this machine can do.
type kind struct {
	name string // as it stands in the field
	// begin fails where there are no credentials for it.
	begin func(attempt) (scheme, error)
}

// attempt is who wants what of which proxy.
type attempt struct {
	who   account
	proxy string // its host name
	addr  string // host and port of the target

	keytab string                      // see Options.Keytab
	env    func(string) (string, bool) // see Options.Env
	// slowKDC is until when Kerberos is not tried, in nanoseconds since 1970.
	slowKDC *atomic.Int64
}

// kinds are the schemes in the order in which they are tried, the strongest
// first. Negotiate comes twice: where there is no Kerberos, most that offer it
// take NTLM in its place.
var kinds = slices.Concat(systemKinds, []kind{
	{"NTLM", beginNTLM},
	{"Negotiate", beginNTLM},
	{"Digest", beginDigest},
	{"Basic", beginBasic},
})

// errRefused: the proxy does not take the login that it was given.
var errRefused = errors.New("the login was refused")

// login goes on until the proxy lets through, or there is nothing left to say.
type login struct {
	attempt
	name    string   // of the scheme in use
	current scheme   // nil: none yet
	passed  []string // stronger schemes that could not begin, and why
}

// opening is sent before anything was asked for.
func (l *login) opening() string {
	if !l.who.given() || !l.who.plainly {
		return ""
	}
	l.name, l.current = "Basic", &basic{l.who}
	text, _ := l.current.answer(context.Background(), challenge{}) // it can't fail
	return "Basic " + text
}

// next is the answer to what a proxy offers, or why there is none: errRefused,
// or what is missing, as a remedy.
func (l *login) next(ctx context.Context, offers []challenge) (string, error) {
	if l.current != nil {
		i := slices.IndexFunc(offers, func(c challenge) bool { return c.is(l.name) })
		switch {
		case i >= 0 && l.current.again(offers[i]):
			text, err := l.current.answer(ctx, offers[i])
			return l.name + " " + text, err
		case i >= 0 || !l.guessed():
			return "", errRefused
		}
		// Basic was sent unasked, and is not what this proxy wants.
		l.close()
	}
	for _, k := range kinds {
		i := slices.IndexFunc(offers, func(c challenge) bool { return c.is(k.name) })
		if i < 0 {
			continue
		}
		s, err := k.begin(l.attempt)
		if err == nil {
			l.name, l.current = k.name, s
			var text string
			if text, err = s.answer(ctx, offers[i]); err == nil {
				return k.name + " " + text, nil
			}
			l.close()
		}
		if !errors.Is(err, errNoCredentials) {
			l.passed = append(l.passed, k.name+": "+err.Error())
		}
	}
	return "", l.missing(offers)
}

// missing says what to do where no scheme could begin.
func (l *login) missing(offers []challenge) error {
	known := slices.ContainsFunc(offers, func(c challenge) bool {
		return slices.ContainsFunc(kinds, func(k kind) bool { return c.is(k.name) })
	})
	if !known {
		return errors.New("the agent can do Negotiate, NTLM, Digest and Basic: ask whoever runs the proxy for one of these")
	}
	var parts []string
	if !l.who.given() {
		parts = append(parts, "set proxyUser and proxyPasswordFile")
	}
	return errors.New(strings.Join(append(parts, l.passed...), "; "))
}

// guessed reports whether the login in use was sent before it was asked for.
func (l *login) guessed() bool {
	_, isBasic := l.current.(*basic)
	return isBasic && l.who.plainly
}

// bound reports whether a login is in the middle of what only the present
// connection knows of.
func (l *login) bound() bool { return l.current != nil && l.current.bound() }

func (l *login) close() {
	if l.current != nil {
		l.current.close()
		l.current = nil
	}
}
