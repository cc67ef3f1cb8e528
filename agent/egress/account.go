package egress

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// account is who logs in at a proxy.
type account struct {
	name     string // as the admin wrote it
	user     string // of that, without DOMAIN\
	domain   string
	password string
	// plainly: they stood in the proxy's URL, so Basic is not held back until it
	// is asked for, as every HTTP client does it.
	plainly bool
}

// given reports whether there is a user at all.
func (a account) given() bool { return a.name != "" }

// hasPassword reports whether there is more than a name; in a URL it may be
// empty.
func (a account) hasPassword() bool { return a.password != "" || a.plainly }

// windows is the user's name as NTLM has it.
func (a account) windows() string {
	if a.domain != "" {
		return a.domain + `\` + a.user
	}
	return a.user
}

// principal is the user's name as Kerberos has it. Realms are in capitals, as
// those of Active Directory always are.
func (a account) principal() (user, realm string) {
	user, realm, found := strings.Cut(a.user, "@")
	if !found || a.domain != "" {
		realm = a.domain
	}
	return user, strings.ToUpper(realm)
}

// shown is the user for a message.
func (a account) shown() string {
	if !a.given() {
		return "the user that the agent runs as"
	}
	return fmt.Sprintf("the user %q", a.name)
}

// account puts together what the options and the proxy's URL say.
func (e *Egress) account(login *url.Userinfo) (account, error) {
	var a account
	switch {
	case e.opts.User != "":
		a.name = e.opts.User
		if e.opts.PasswordFile != "" {
			var err error
			if a.password, err = readPassword(e.opts.PasswordFile); err != nil {
				return account{}, err
			}
		}
	case login != nil:
		a.name, a.plainly = login.Username(), true
		a.password, _ = login.Password()
	}
	a.user = a.name
	if domain, user, ok := strings.Cut(a.name, `\`); ok {
		a.domain, a.user = domain, user
	}
	if e.opts.Domain != "" {
		a.domain = e.opts.Domain
	}
	return a, nil
}

// readPassword reads the first line of a file that others must not read.
func readPassword(file string) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", fmt.Errorf("proxyPasswordFile: %w", err)
	}
	if err := checkSecret(file, info); err != nil {
		return "", fmt.Errorf("proxyPasswordFile: %w", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("proxyPasswordFile: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" {
		return "", fmt.Errorf("proxyPasswordFile: the first line of %s is empty: it is to hold the password", file)
	}
	return line, nil
}

// errNoCredentials: a scheme needs a user and password, and there are none.
var errNoCredentials = errors.New("it needs proxyUser and proxyPasswordFile")
