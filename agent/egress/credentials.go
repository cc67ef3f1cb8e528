package egress

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// credentials are who logs in at a proxy.
type credentials struct {
	user     string // without the domain
	domain   string
	password string
	// plainly: they stood in the proxy's URL, so Basic is not held back until it
	// is asked for, as every HTTP client does it.
	plainly bool
}

// given reports whether there is a user and password at all.
func (c credentials) given() bool { return c.user != "" }

// full is the user's name with the domain.
func (c credentials) full() string {
	if c.domain != "" {
		return c.domain + `\` + c.user
	}
	return c.user
}

// credentials puts together what the options and the proxy's URL say.
func (e *Egress) credentials(login *url.Userinfo) (credentials, error) {
	var c credentials
	switch {
	case e.opts.User != "":
		c.user = e.opts.User
		if e.opts.PasswordFile != "" {
			var err error
			if c.password, err = readPassword(e.opts.PasswordFile); err != nil {
				return credentials{}, err
			}
		}
	case login != nil:
		c.user, c.plainly = login.Username(), true
		c.password, _ = login.Password()
	}
	if domain, user, ok := strings.Cut(c.user, `\`); ok {
		c.domain, c.user = domain, user
	}
	if e.opts.Domain != "" {
		c.domain = e.opts.Domain
	}
	return c, nil
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

// shown is the user for a message.
func (c credentials) shown() string {
	if !c.given() {
		return "this machine's user"
	}
	return fmt.Sprintf("the user %q", c.full())
}
