package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/proto"
)

// expect are the parts of a failure that a caller decides by.
type expect struct {
	code    proto.Code
	reason  proto.Reason
	outcome proto.Outcome
	facts   map[string]string
	detail  []string // each must occur in the sentence for a person
}

func (want expect) check(t *testing.T, e *proto.Error) {
	t.Helper()
	if e.Code != want.code || e.Reason != want.reason || e.Outcome != want.outcome {
		t.Errorf("got %s/%s/%s, want %s/%s/%s (%v)", e.Code, e.Reason, e.Outcome, want.code, want.reason, want.outcome, e.Err)
	}
	for k, v := range want.facts {
		if e.Facts[k] != v {
			t.Errorf("fact %s = %q, want %q", k, e.Facts[k], v)
		}
	}
	for _, s := range want.detail {
		if !strings.Contains(e.Detail, s) {
			t.Errorf("detail %q does not say %q", e.Detail, s)
		}
	}
	if e.Hint == "" && e.Code != proto.CodeCanceled && e.Code != proto.CodeValidation {
		t.Errorf("no hint with %q", e.Detail)
	}
	if e.Code != proto.CodeValidation && e.Timing == nil {
		t.Error("no timing")
	}
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestFailuresOfPlainConnections(t *testing.T) {
	closed := closedPort(t)
	quiet := listen(t, silent)
	for _, c := range []struct {
		name    string
		address string
		handle  func(net.Conn)
		method  string
		want    func(address string) expect
	}{
		{name: "nothing listens", address: closed, want: func(a string) expect {
			return expect{proto.CodeTargetRefused, proto.ReasonRefused, proto.OutcomeNotSent, map[string]string{"address": a, "host": "127.0.0.1"}, []string{a, "refused"}}
		}},
		{name: "closes without an answer", handle: says(""), method: "POST", want: func(a string) expect {
			return expect{proto.CodeTargetUnreachable, proto.ReasonReset, proto.OutcomeUnknown, map[string]string{"address": a}, []string{a, "waiting for the answer"}}
		}},
		{name: "resets", handle: func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1))
			_ = c.(*net.TCPConn).SetLinger(0)
		}, want: func(a string) expect {
			return expect{proto.CodeTargetUnreachable, proto.ReasonReset, proto.OutcomeUnknown, map[string]string{"address": a}, []string{a}}
		}},
		{name: "answers in another protocol", handle: says("220 mail.plant2.test ESMTP\r\n"), want: func(a string) expect {
			return expect{proto.CodeTargetUnreachable, proto.ReasonNotHTTP, proto.OutcomeUnknown, map[string]string{"address": a}, []string{a, "220 mail"}}
		}},
		{name: "greets in another protocol first", handle: func(c net.Conn) {
			_, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n")
			silent(c)
		}, want: func(a string) expect {
			return expect{proto.CodeTargetUnreachable, proto.ReasonNotHTTP, "", map[string]string{"address": a}, []string{"SSH-2.0"}}
		}},
		{name: "speaks TLS on http", handle: says("\x15\x03\x01\x00\x02\x02\x0a"), want: func(a string) expect {
			return expect{proto.CodeTargetUnreachable, proto.ReasonNotHTTP, proto.OutcomeUnknown, nil, []string{"speaks TLS"}}
		}},
		{name: "breaks off in the header", handle: says("HTTP/1.1 200 OK\r\nServer: x\r\n"), want: func(a string) expect {
			return expect{proto.CodeTargetUnreachable, proto.ReasonReset, proto.OutcomeSent, nil, []string{"middle of its answer's header"}}
		}},
		{name: "sends a header that is not one", handle: says("HTTP/1.1 200 OK\r\nno colon hidden\r\n\r\n"), want: func(a string) expect {
			return expect{proto.CodeTargetUnreachable, proto.ReasonNotHTTP, proto.OutcomeSent, nil, []string{"not valid HTTP", "missing colon"}}
		}},
		{name: "sends a header without end", handle: func(c net.Conn) {
			says("HTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("x", maxHeaderBytes) + "\r\n\r\n")(c)
			silent(c)
		}, want: func(a string) expect {
			return expect{proto.CodeTargetUnreachable, proto.ReasonHeaderTooLong, proto.OutcomeSent, map[string]string{"address": a}, []string{a, "longer than the 256 KiB"}}
		}},
		{name: "breaks off in the body", handle: says("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), want: func(a string) expect {
			return expect{proto.CodeTargetUnreachable, proto.ReasonReset, proto.OutcomeSent, map[string]string{"address": a}, []string{a, "before the end of its answer's body"}}
		}},
		{name: "breaks off before the last chunk", handle: says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"), want: func(a string) expect {
			return expect{proto.CodeTargetUnreachable, proto.ReasonReset, proto.OutcomeSent, nil, []string{"before the end of its answer's body"}}
		}},
		{name: "never answers", address: quiet, method: "POST", want: func(a string) expect {
			return expect{proto.CodeTargetTimeout, proto.ReasonTimeout, proto.OutcomeUnknown, map[string]string{"stage": "wait"}, []string{a, "waiting for the answer"}}
		}},
		{name: "stops in the body", handle: func(c net.Conn) {
			says("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")(c)
			silent(c)
		}, want: func(a string) expect {
			return expect{proto.CodeTargetTimeout, proto.ReasonTimeout, proto.OutcomeSent, map[string]string{"stage": "body"}, []string{a, "reading the answer"}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := c.address
			if address == "" {
				address = listen(t, c.handle)
			}
			req := request(t, c.method, "http://"+address+"/x?token=hidden", "")
			req.Header.Set(proto.HeaderTimeout, "2000")
			if c.want(address).code == proto.CodeTargetTimeout {
				req.Header.Set(proto.HeaderTimeout, "100")
			}
			e := mustFail(t, transport(t, Options{}), req)
			want := c.want(address)
			if want.outcome == "" { // either is true: it depends on who is faster
				want.outcome = e.Outcome
			}
			want.check(t, e)
			if strings.Contains(e.Error()+e.Hint, "hidden") {
				t.Errorf("the query, or what the target said in a header, shows in %q", e.Error())
			}
		})
	}
}

func TestBrokenBodyIsAnUnexpectedEOF(t *testing.T) {
	e := mustFail(t, transport(t, Options{}), request(t, "GET", "http://"+listen(t, says("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")), ""))
	if !errors.Is(e, io.ErrUnexpectedEOF) {
		t.Errorf("%v does not wrap io.ErrUnexpectedEOF", e.Err)
	}
}

func TestFailuresOfTLS(t *testing.T) {
	ca := newAuthority(t, "Plant 2 Root")
	other := newAuthority(t, "Somebody Else's Root")
	expired := time.Date(2020, 3, 1, 12, 0, 0, 0, time.UTC)
	later := time.Date(2090, 3, 1, 12, 0, 0, 0, time.UTC)
	with := func(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }
	for _, c := range []struct {
		name   string
		config *tls.Config
		reason proto.Reason
		facts  map[string]string
		detail []string
	}{
		{"unknown authority", with(other.issue(t, nil)), proto.ReasonUnknownAuthority,
			map[string]string{"issuer": "Somebody Else's Root", "subject": "erp.plant2.test", "host": "localhost"}, []string{"Somebody Else's Root", "localhost"}},
		{"self-signed", with(selfSigned(t)), proto.ReasonSelfSigned, map[string]string{"subject": "erp.plant2.test"}, []string{"signed by itself"}},
		{"expired", with(ca.issue(t, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = expired.Add(-time.Hour), expired })), proto.ReasonExpired,
			map[string]string{"notAfter": "2020-03-01T12:00:00Z"}, []string{"expired on 2020-03-01"}},
		{"not yet valid", with(ca.issue(t, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = later, later.Add(time.Hour) })), proto.ReasonNotYetValid,
			map[string]string{"notBefore": "2090-03-01T12:00:00Z"}, []string{"not valid before 2090-03-01"}},
		{"wrong host", with(ca.issue(t, func(c *x509.Certificate) {
			c.DNSNames, c.IPAddresses = []string{"erp.plant2.test", "erp2.plant2.test"}, []net.IP{net.IPv4(10, 0, 0, 7)}
		})), proto.ReasonWrongHost, map[string]string{"names": "erp.plant2.test, erp2.plant2.test, 10.0.0.7"}, []string{"erp2.plant2.test", "another host"}},
		{"old version", &tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil)}, MaxVersion: tls.VersionTLS11}, proto.ReasonTLSHandshake, nil, []string{"TLS handshake"}},
		{"client certificate wanted", &tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil)}, ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}, proto.ReasonClientCertificate, nil, []string{"asks for a client certificate"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			port := serveTLS(t, c.config)
			e := mustFail(t, transport(t, Options{RootCAs: ca.pool()}), request(t, "POST", "https://localhost:"+port+"/", "body"))
			expect{proto.CodeTargetTLS, c.reason, proto.OutcomeNotSent, c.facts, c.detail}.check(t, e)
		})
	}
}

func TestPlainTextOnHTTPS(t *testing.T) {
	for name, handle := range map[string]func(net.Conn){"an HTTP server": says("HTTP/1.0 400 Bad Request\r\n\r\n"), "a mail server": says("220 hello\r\n")} {
		t.Run(name, func(t *testing.T) {
			address := listen(t, handle)
			e := mustFail(t, transport(t, Options{}), request(t, "GET", "https://"+address+"/", ""))
			expect{proto.CodeTargetTLS, proto.ReasonNotTLS, proto.OutcomeNotSent, map[string]string{"address": address}, []string{address, "does not speak TLS"}}.check(t, e)
		})
	}
}

func TestHandshakeThatNeverEnds(t *testing.T) {
	address := listen(t, silent)
	req := request(t, "GET", "https://"+address+"/", "")
	req.Header.Set(proto.HeaderTimeout, "100")
	e := mustFail(t, transport(t, Options{}), req)
	expect{proto.CodeTargetTimeout, proto.ReasonTimeout, proto.OutcomeNotSent, map[string]string{"stage": "tls"}, []string{address, "TLS handshake"}}.check(t, e)
}

func TestHandshakeCutShort(t *testing.T) {
	address := listen(t, says(""))
	e := mustFail(t, transport(t, Options{}), request(t, "GET", "https://"+address+"/", ""))
	expect{proto.CodeTargetTLS, proto.ReasonTLSHandshake, proto.OutcomeNotSent, nil, []string{address, "closed the connection in the TLS handshake"}}.check(t, e)
}

func TestCancelledRequestSaysHowFarItGot(t *testing.T) {
	reached := make(chan struct{})
	address := listen(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1024))
		close(reached)
		silent(c)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-reached; cancel() }()
	e := mustFail(t, transport(t, Options{}), request(t, "POST", "http://"+address, "body").WithContext(ctx))
	expect{proto.CodeCanceled, "", proto.OutcomeUnknown, nil, []string{"cancelled while"}}.check(t, e)
}

func TestBrokenUploadIsNotTheTargetsFault(t *testing.T) {
	address := listen(t, silent)
	r, w := io.Pipe()
	go func() { _, _ = w.Write([]byte("half")); _ = w.CloseWithError(io.ErrUnexpectedEOF) }()
	req, _ := http.NewRequestWithContext(t.Context(), "PUT", "http://"+address, r)
	e := mustFail(t, transport(t, Options{}), req)
	expect{proto.CodeCanceled, "", proto.OutcomeUnknown, nil, []string{"broke off"}}.check(t, e)
}

func TestFaultyRequestsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"timeout is no number": func(r *http.Request) { r.Header.Set(proto.HeaderTimeout, "soon") },
		"a line break":         func(r *http.Request) { r.Header["X-A"] = []string{"a\r\nb"} },
		"no host":              func(r *http.Request) { r.URL.Host, r.Host = "", "" },
	} {
		t.Run(name, func(t *testing.T) {
			req := request(t, "GET", "http://127.0.0.1:1/", "")
			change(req)
			expect{code: proto.CodeValidation, outcome: proto.OutcomeNotSent}.check(t, mustFail(t, transport(t, Options{}), req))
		})
	}
}
