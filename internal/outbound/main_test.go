package outbound

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// transport makes a Transport that is closed with the test.
func transport(t *testing.T, o Options) *Transport {
	t.Helper()
	tr := New(o)
	t.Cleanup(tr.Close)
	return tr
}

// listen serves each connection with handle until the test ends, and waits for
// all of them then.
func listen(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveConns(t, l, handle)
	return l.Addr().String()
}

func serveConns(t *testing.T, l net.Listener, handle func(net.Conn)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		var open []chan struct{}
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			ended := make(chan struct{})
			open = append(open, ended)
			stop := context.AfterFunc(ctx, func() { _ = c.Close() })
			go func() {
				defer close(ended)
				defer stop()
				defer c.Close()
				handle(c)
			}()
		}
		for _, ended := range open {
			<-ended
		}
	}()
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		<-done
	})
}

// silent holds a connection and says nothing, until the other end gives up.
func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// says answers whatever comes first with text, and closes.
func says(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, text)
	}
}

func request(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = bytes.NewBufferString(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, r)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// mustFail performs req, reads its whole answer, and returns the error of
// either.
func mustFail(t *testing.T, tr *Transport, req *http.Request) *proto.Error {
	t.Helper()
	resp, err := tr.RoundTrip(req)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	if err == nil {
		t.Fatalf("%s %s: no error", req.Method, req.URL)
	}
	e, ok := err.(*proto.Error)
	if !ok {
		t.Fatalf("error %T (%v) is not a *proto.Error", err, err)
	}
	return e
}

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	cert, key := certificate(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, nil, nil)
	return authority{cert, key}
}

func (a authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// issue makes a certificate for a server; change may alter it before it is
// signed.
func (a authority) issue(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	template := serverTemplate()
	if change != nil {
		change(template)
	}
	cert, key := certificate(t, template, a.cert, a.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	cert, key := certificate(t, serverTemplate(), nil, nil)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func serverTemplate() *x509.Certificate {
	return &x509.Certificate{
		Subject:   pkix.Name{CommonName: "erp.plant2.test"},
		DNSNames:  []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
}

func certificate(t *testing.T, template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// serveTLS answers 200 over TLS and returns the port.
func serveTLS(t *testing.T, config *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	serveConns(t, tls.NewListener(l, config), says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	return port
}
