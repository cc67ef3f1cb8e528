package egress

import (
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
)

func TestSocksMessages(t *testing.T) {
	for addr, want := range map[string]string{
		"relay.test:443":                "\x05\x01\x00\x03\x0arelay.test\x01\xbb",
		"10.1.2.3:8443":                 "\x05\x01\x00\x01\x0a\x01\x02\x03\x20\xfb",
		"[fd00::7]:443":                 "\x05\x01\x00\x04\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\x01\xbb",
		"[::ffff:10.1.2.3]:443":         "\x05\x01\x00\x01\x0a\x01\x02\x03\x01\xbb",
		"relay.test:https":              "",
		strings.Repeat("x", 256) + ":1": "",
	} {
		got, err := socksRequest(addr)
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", addr, got, err)
		}
	}
	// What the proxy says after its answer is the target's, and must be left.
	for _, c := range []struct {
		said  string
		fault Fault // "": gets through
		words string
	}{
		{"\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00!", "", ""},
		{"\x05\x00\x05\x00\x00\x03\x02ab\x00\x00!", "", ""},
		{"\x05\x00\x05\x00\x00\x04" + strings.Repeat("\x00", 18) + "!", "", ""},
		{"\x05\x00\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00", FaultProxy, "not allowed by its rules"},
		{"\x05\x00\x05\x63\x00\x01\x00\x00\x00\x00\x00\x00", FaultProxy, "reason 99"},
		{"\x05\xff", FaultProxyAuth, "neither a user and password nor none"},
		{"\x05\x02\x01\x01", FaultProxyAuth, "refuses the login"},
		{"\x05\x01", FaultProxy, "login method 1"},
		{"HT", FaultProxy, "does not speak SOCKS5"},
		{"\x05\x00\x05\x00\x00\x09\x00", FaultProxy, "unknown kind 9"},
		{"\x05", FaultProxy, "read its greeting"},
	} {
		err := socksTalk(t, c.said)
		var dial *DialError
		switch errors.As(err, &dial); {
		case c.fault == "" && err != nil:
			t.Errorf("%q: %v", c.said, err)
		case c.fault != "" && (dial == nil || dial.Fault != c.fault || !strings.Contains(dial.Error(), c.words)):
			t.Errorf("%q: %v, want the fault %s with %q", c.said, err, c.fault, c.words)
		}
	}
}

// socksTalk dials through a proxy that says one thing, whatever it is asked, and
// then hangs up. Where that lets through, "!" must come from the connection.
func socksTalk(t *testing.T, said string) error {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	defer listener.Close()
	serving.Go(func() {
		if conn, err := listener.Accept(); err == nil {
			_, _ = io.WriteString(conn, said)
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn) // a reset could overtake what was said
			_ = conn.Close()
		}
	})
	e, err := New(Options{Proxy: "socks5://svc:hush@" + listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := e.Dial(t.Context(), &url.URL{Scheme: "https", Host: "relay.test"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if rest, err := io.ReadAll(conn); err != nil || string(rest) != "!" {
		t.Errorf("%q: then %q, %v", said, rest, err)
	}
	return nil
}
