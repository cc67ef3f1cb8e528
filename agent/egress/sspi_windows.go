package egress

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"syscall"

	"github.com/alexbrainman/sspi"
	"github.com/alexbrainman/sspi/negotiate"
)

// systemKinds are the schemes by which the operating system's own credentials
// are used: those of the user that the agent runs as, which for a service is the
// machine's account in the domain.
var systemKinds = []kind{{"Negotiate", beginNegotiate}, {"NTLM", beginOwnNTLM}}

// windowsLogin is a login by SSPI, which knows Kerberos and NTLM.
type windowsLogin struct {
	first   []byte // token
	update  func(token []byte) (done bool, answer []byte, err error)
	release []func() error
	sent    int // tokens
	done    bool
}

func beginNegotiate(a attempt) (scheme, error) {
	acquire := negotiate.AcquireCurrentUserCredentials
	if a.who.given() {
		acquire = func() (*sspi.Credentials, error) {
			return negotiate.AcquireUserCredentials(a.who.domain, a.who.user, a.who.password)
		}
	}
	cred, err := acquire()
	if err != nil {
		return nil, fmt.Errorf("no credentials of Windows for it: %w", err)
	}
	c, token, err := negotiate.NewClientContext(cred, "HTTP/"+a.proxy)
	if err != nil {
		_ = cred.Release()
		return nil, fmt.Errorf("no login of Windows at HTTP/%s: %w", a.proxy, err)
	}
	return &windowsLogin{first: token, update: c.Update, release: []func() error{c.Release, cred.Release}}, nil
}

// beginOwnNTLM is NTLM with the user that the agent runs as. The library's own
// package for it panics where Windows has NTLM switched off, so the exchange is
// made of its parts.
func beginOwnNTLM(a attempt) (scheme, error) {
	if a.who.given() {
		return nil, errNoCredentials // beginNTLM's
	}
	cred, err := sspi.AcquireCredentials("", sspi.NTLMSP_NAME, sspi.SECPKG_CRED_OUTBOUND, nil)
	if err != nil {
		return nil, fmt.Errorf("no credentials of Windows for it: %w", err)
	}
	c := sspi.NewClientContext(cred, sspi.ISC_REQ_CONNECTION)
	update := func(token []byte) (bool, []byte, error) { return updateContext(c, token) }
	_, token, err := update(nil)
	if err != nil {
		_ = cred.Release()
		return nil, fmt.Errorf("no NTLM of Windows: %w", err)
	}
	return &windowsLogin{first: token, update: update, release: []func() error{c.Release, cred.Release}}, nil
}

// updateContext takes an exchange one token further.
func updateContext(c *sspi.Context, token []byte) (done bool, answer []byte, err error) {
	answer = make([]byte, 16<<10) // NTLM's are below 3 KiB
	var in, out [1]sspi.SecBuffer
	in[0].Set(sspi.SECBUFFER_TOKEN, token)
	out[0].Set(sspi.SECBUFFER_TOKEN, answer)
	outs := sspi.NewSecBufferDesc(out[:])
	ret := c.Update(nil, outs, sspi.NewSecBufferDesc(in[:]))
	if ret == sspi.SEC_I_COMPLETE_NEEDED || ret == sspi.SEC_I_COMPLETE_AND_CONTINUE {
		ret = sspi.CompleteAuthToken(c.Handle, outs)
	}
	switch ret {
	case sspi.SEC_E_OK, sspi.SEC_I_CONTINUE_NEEDED:
		return ret == sspi.SEC_E_OK, answer[:out[0].BufferSize], nil
	}
	return false, nil, syscall.Errno(ret)
}

func (w *windowsLogin) answer(_ context.Context, c challenge) (string, error) {
	token := w.first
	if w.sent > 0 {
		raw, err := base64.StdEncoding.DecodeString(c.token)
		if err != nil {
			return "", errors.New("the proxy's challenge can't be read")
		}
		if w.done, token, err = w.update(raw); err != nil {
			return "", fmt.Errorf("no answer of Windows to the proxy's challenge: %w", err)
		}
	}
	w.sent++
	return base64.StdEncoding.EncodeToString(token), nil
}

func (w *windowsLogin) again(c challenge) bool { return !w.done && c.token != "" }
func (w *windowsLogin) bound() bool            { return w.sent > 1 }

func (w *windowsLogin) close() {
	for _, release := range w.release {
		_ = release() // a handle that can't be released is gone
	}
}
