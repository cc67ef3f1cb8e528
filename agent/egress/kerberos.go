//go:build !windows

package egress

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/spnego"
)

// systemKinds are the schemes by which the operating system's own credentials
// are used.
var systemKinds = []kind{{"Negotiate", beginKerberos}}

// kerberos is RFC 4559 with Kerberos, as krb5.conf sets it up. Whose ticket is
// shown is decided by what there is: a keytab, a password, or the cache of
// tickets that somebody keeps fresh for the agent's user.
type kerberos struct {
	attempt
	conf *config.Config
}

func beginKerberos(a attempt) (scheme, error) {
	if a.slowKDC.Load() > time.Now().UnixNano() {
		return nil, errors.New("no Kerberos for now, since its KDC did not answer in time")
	}
	file := lookup(a.env, "KRB5_CONFIG", "/etc/krb5.conf")
	conf, err := config.Load(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no Kerberos is set up on this machine (there is no %s)", file)
	}
	if err != nil {
		return nil, fmt.Errorf("the settings of Kerberos can't be read: %s: %w", file, err)
	}
	// By TCP only: the way by UDP waits for answers that firewalls drop, and a
	// ticket with a Windows user's groups is too long for it anyway.
	conf.LibDefaults.UDPPreferenceLimit = 1
	return &kerberos{attempt: a, conf: conf}, nil
}

// A KDC that lets wait for longer than slowKDC is left alone for slowPause, or a
// list of them that a firewall drops would use up the time in which another
// scheme gets through.
const (
	slowKDC   = 3 * time.Second
	slowPause = 10 * time.Minute
)

// answer gets a ticket for the proxy.
func (k *kerberos) answer(ctx context.Context, _ challenge) (string, error) {
	began := time.Now()
	text, err := k.ticket(ctx)
	if err != nil && time.Since(began) > slowKDC {
		k.slowKDC.Store(time.Now().Add(slowPause).UnixNano())
	}
	return text, err
}

// ticket is what answers the proxy. The library takes no context; it waits 5 s
// at most for each KDC to connect, and 5 s for its answer.
func (k *kerberos) ticket(ctx context.Context) (string, error) {
	c, err := k.client()
	if err != nil {
		return "", fmt.Errorf("no Kerberos login: %w", err)
	}
	defer c.Destroy()
	service := "HTTP/" + strings.ToLower(strings.TrimSuffix(k.proxy, "."))
	negotiation := spnego.SPNEGOClient(c, service)
	if err := negotiation.AcquireCred(); err != nil {
		return "", fmt.Errorf("no Kerberos login as %s in %s: %w", c.Credentials.UserName(), c.Credentials.Domain(), err)
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	token, err := negotiation.InitSecContext()
	if err != nil {
		return "", fmt.Errorf("no Kerberos ticket for %s: %w", service, err)
	}
	raw, err := token.Marshal()
	if err != nil {
		return "", fmt.Errorf("make a Kerberos message: %w", err)
	}
	return base64.StdEncoding.EncodeToString(raw), nil
}

// client is whose ticket is shown.
func (k *kerberos) client() (*client.Client, error) {
	if !k.who.given() {
		file := strings.TrimPrefix(lookup(k.env, "KRB5CCNAME", fmt.Sprintf("/tmp/krb5cc_%d", os.Getuid())), "FILE:")
		cache, err := credentials.LoadCCache(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no ticket (%s does not exist); set proxyUser with proxyKeytab or proxyPasswordFile", file)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return client.NewFromCCache(cache, k.conf, client.DisablePAFXFAST(true))
	}
	user, realm := k.who.principal()
	if realm == "" {
		realm = k.conf.LibDefaults.DefaultRealm
	}
	if realm == "" {
		return nil, errors.New("in which realm is the user? Set proxyDomain")
	}
	// Active Directory does not know the extension that is switched off.
	if k.keytab == "" {
		return client.NewWithPassword(user, realm, k.who.password, k.conf, client.DisablePAFXFAST(true)), nil
	}
	keys, err := keytab.Load(k.keytab)
	if err != nil {
		return nil, fmt.Errorf("proxyKeytab: %w", err)
	}
	return client.NewWithKeytab(user, realm, keys, k.conf, client.DisablePAFXFAST(true)), nil
}

// again: a proxy that is not content with a ticket does not become so.
func (*kerberos) again(challenge) bool { return false }
func (*kerberos) bound() bool          { return false }
func (*kerberos) close()               {}

// lookup is an environment variable's value, or another.
func lookup(env func(string) (string, bool), name, otherwise string) string {
	if value, ok := env(name); ok && value != "" {
		return value
	}
	return otherwise
}
