package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
)

// SOCKS5 (RFC 1928) with user and password (RFC 1929). It is spoken here, and
// not by golang.org/x/net/proxy, since that tells its failures apart in words
// only.
const (
	socksVersion      = 5
	socksNoLogin      = 0x00
	socksPassword     = 0x02
	socksNoMethod     = 0xff
	socksConnect      = 1
	socksIPv4         = 1
	socksName         = 3
	socksIPv6         = 4
	socksLoginVersion = 1
)

// socksReplies are the words for a refusal (RFC 1928, section 6), by number.
var socksReplies = []string{
	1: "general failure", 2: "not allowed by its rules", 3: "network unreachable", 4: "host unreachable",
	5: "connection refused", 6: "it took too long", 7: "it can't connect at all", 8: "it can't reach such addresses",
}

// socks connects to addr through a SOCKS5 proxy, which looks the name up.
func (e *Egress) socks(ctx context.Context, r route, who account, addr string) (net.Conn, error) {
	conn, release, err := e.reach(ctx, r)
	if err != nil {
		return nil, err
	}
	err = socksHandshake(conn, who, addr)
	if !release() {
		err = fmt.Errorf("it did not answer in time (%w)", context.Cause(ctx))
	}
	if err == nil {
		return conn, nil
	}
	_ = conn.Close()
	proxy := r.Proxy.Redacted()
	var refused *DialError
	if errors.As(err, &refused) {
		refused.Proxy = proxy
		refused.Text = fmt.Sprintf("the proxy %s %s", proxy, refused.Text)
		return nil, refused
	}
	return nil, &DialError{Fault: FaultProxy, Proxy: proxy, Err: err,
		Text:   fmt.Sprintf("no connection through the proxy %s: %v", proxy, err),
		Remedy: "check that this is a SOCKS5 proxy, and whether it wants http://"}
}

// socksHandshake leaves conn connected to addr. A refusal is a *DialError that
// lacks the proxy's name.
func socksHandshake(conn net.Conn, who account, addr string) error {
	hello := []byte{socksVersion, 1, socksNoLogin}
	if who.given() {
		hello = []byte{socksVersion, 2, socksNoLogin, socksPassword}
	}
	if _, err := conn.Write(hello); err != nil {
		return fmt.Errorf("greet it: %w", err)
	}
	var method [2]byte
	if _, err := io.ReadFull(conn, method[:]); err != nil {
		return fmt.Errorf("read its greeting: %w", err)
	}
	switch {
	case method[0] != socksVersion:
		return errors.New("it does not speak SOCKS5")
	case method[1] == socksPassword && who.given():
		if err := socksLogin(conn, who); err != nil {
			return err
		}
	case method[1] == socksNoMethod && who.given():
		return &DialError{Fault: FaultProxyAuth, Text: "takes neither a user and password nor none at all",
			Remedy: "the agent can do no other login with SOCKS5: ask whoever runs the proxy for one of these"}
	case method[1] == socksNoMethod:
		return &DialError{Fault: FaultProxyAuth, Text: "wants a login", Remedy: "set proxyUser and proxyPasswordFile"}
	case method[1] != socksNoLogin:
		return fmt.Errorf("it chose the login method %d, which was not offered", method[1])
	}
	request, err := socksRequest(addr)
	if err != nil {
		return err
	}
	if _, err := conn.Write(request); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	return socksReply(conn, addr)
}

func socksLogin(conn net.Conn, who account) error {
	user := who.name
	if len(user) > 255 || len(who.password) > 255 {
		return errors.New("SOCKS5 has user and password of up to 255 bytes each")
	}
	message := append([]byte{socksLoginVersion, byte(len(user))}, user...)
	message = append(append(message, byte(len(who.password))), who.password...)
	if _, err := conn.Write(message); err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	var status [2]byte
	if _, err := io.ReadFull(conn, status[:]); err != nil {
		return fmt.Errorf("read its answer to the login: %w", err)
	}
	if status[1] != 0 {
		return &DialError{Fault: FaultProxyAuth, Scheme: "SOCKS5", Text: "refuses the login of " + who.shown(),
			Remedy: "check the user and the password"}
	}
	return nil
}

func socksRequest(addr string) ([]byte, error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %q is not a number up to 65535", portText)
	}
	request := []byte{socksVersion, socksConnect, 0}
	if ip, err := netip.ParseAddr(host); err != nil {
		if len(host) > 255 {
			return nil, errors.New("SOCKS5 has names of up to 255 bytes")
		}
		request = append(append(request, socksName, byte(len(host))), host...)
	} else if ip = ip.Unmap(); ip.Is4() {
		request = append(append(request, socksIPv4), ip.AsSlice()...)
	} else {
		request = append(append(request, socksIPv6), ip.AsSlice()...)
	}
	return append(request, byte(port>>8), byte(port)), nil
}

// socksReply reads the answer to a request, to its last byte and no further.
func socksReply(conn net.Conn, addr string) error {
	var head [5]byte // version, reply, reserved, kind of address, its first byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return fmt.Errorf("read its answer: %w", err)
	}
	if head[1] != 0 {
		why := fmt.Sprintf("reason %d", head[1])
		if int(head[1]) < len(socksReplies) {
			why = socksReplies[head[1]]
		}
		return &DialError{Fault: FaultProxy, Status: int(head[1]), Text: fmt.Sprintf("will not connect to %s: %s", addr, why),
			Remedy: "ask whoever runs the proxy to allow this host and port"}
	}
	rest := map[byte]int{socksIPv4: 4 - 1, socksIPv6: 16 - 1, socksName: int(head[4])}
	left, ok := rest[head[3]]
	if !ok {
		return fmt.Errorf("its answer has an address of the unknown kind %d", head[3])
	}
	_, err := io.ReadFull(conn, make([]byte, left+2)) // and the port
	return err
}
