package mail

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Server is where e-mail is handed in.
type Server struct {
	Host     string
	Port     int
	Username string // empty: without signing in
	Password string
	Secure   Security
	From     string // an address, with a name before it or without
}

// Security of the way to a server.
type Security string

const (
	Implicit      Security = "implicit"      // TLS from the first byte
	StartTLS      Security = "starttls"      // required
	Opportunistic Security = "opportunistic" // where the server has it
	Plain         Security = "none"
)

// The ports of RFC 8314 and RFC 6409; a server on this machine mostly listens on
// that of RFC 5321.
const (
	portImplicit = 465
	portSubmit   = 587
	portLocal    = 25
)

// ParseServer reads smtp://USER:PASSWORD@HOST:PORT, or smtps://. Over smtp,
// STARTTLS is required unless the server is on this machine, or ?tls= says
// opportunistic or none. Its errors hold nothing of the URL but the scheme: the
// rest may be a password.
func ParseServer(text string) (Server, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.Fragment != "" {
		return Server{}, errors.New("want smtp://USER:PASSWORD@HOST:PORT or smtps://USER:PASSWORD@HOST:PORT, user and password percent-encoded")
	}
	s := Server{Host: u.Hostname(), Username: u.User.Username()}
	s.Password, _ = u.User.Password()
	switch u.Scheme {
	case "smtps":
		s.Secure, s.Port = Implicit, portImplicit
	case "smtp":
		s.Secure, s.Port = StartTLS, portSubmit
		if loopback(s.Host) {
			s.Secure, s.Port = Opportunistic, portLocal
		}
	default:
		return Server{}, fmt.Errorf("%q is no scheme of a mail server: want smtp:// or smtps://", u.Scheme)
	}
	for name, values := range u.Query() {
		word := Security(values[0])
		if name != "tls" || u.Scheme != "smtp" || word != StartTLS && word != Opportunistic && word != Plain {
			return Server{}, errors.New("the only parameter is tls, with smtp://: starttls, opportunistic or none")
		}
		s.Secure = word
	}
	if port := u.Port(); port != "" {
		if s.Port, err = strconv.Atoi(port); err != nil || s.Port < 1 || s.Port > 65535 {
			return Server{}, errors.New("the port is a number from 1 to 65535")
		}
	}
	return s, nil
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
