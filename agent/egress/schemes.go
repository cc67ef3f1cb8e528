package egress

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"

	"github.com/icholy/digest"
)

// basic is RFC 7617: the password as it is.
type basic struct{ who account }

func beginBasic(a attempt) (scheme, error) {
	if !a.who.hasPassword() {
		return nil, errNoCredentials
	}
	return &basic{a.who}, nil
}

func (b *basic) answer(context.Context, challenge) (string, error) {
	return base64.StdEncoding.EncodeToString([]byte(b.who.name + ":" + b.who.password)), nil
}

func (*basic) again(challenge) bool { return false }
func (*basic) bound() bool          { return false }
func (*basic) close()               {}

// digestScheme is RFC 7616: a hash of the password and of a number from the
// proxy.
type digestScheme struct {
	attempt
	stale int // how often the proxy's number was too old
}

func beginDigest(a attempt) (scheme, error) {
	if !a.who.hasPassword() {
		return nil, errNoCredentials
	}
	return &digestScheme{attempt: a}, nil
}

func (d *digestScheme) answer(_ context.Context, c challenge) (string, error) {
	asked, err := digest.ParseChallenge(digest.Prefix + c.text)
	if err != nil {
		return "", fmt.Errorf("its challenge can't be read: %w", err)
	}
	answer, err := digest.Digest(asked, digest.Options{
		Method: http.MethodConnect, URI: d.addr, Username: d.who.name, Password: d.who.password, Count: 1,
	})
	if err != nil {
		return "", err
	}
	return answer.String()[len(digest.Prefix):], nil
}

func (d *digestScheme) again(c challenge) bool {
	d.stale++
	return d.stale == 1 && c.params["stale"] == "true"
}

func (*digestScheme) bound() bool { return false }
func (*digestScheme) close()      {}
