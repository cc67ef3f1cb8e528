//go:build !race

package rawio

import (
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"testing"
)

// TestTLSThatCarriedMuchIsStillCheap: it reads into a longer buffer from then on.
func TestTLSThatCarriedMuchIsStillCheap(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	server.Close() // it is about its certificate
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Listen(plain)
	defer l.Close()
	ended := make(chan error)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			defer conn.Close()
			secure := tls.Server(conn, &tls.Config{Certificates: server.TLS.Certificates})
			_, err = io.Copy(secure, secure)
		}
		ended <- err
	}()
	dialled, err := Dial(&net.Dialer{})(t.Context(), "tcp", plain.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	secure := tls.Client(dialled, &tls.Config{InsecureSkipVerify: true})
	exchange := func(bytes int) {
		t.Helper()
		if _, err := secure.Write(make([]byte, bytes)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(secure, make([]byte, bytes)); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		exchange(60_000)
	}
	began := dialled.(*conn).incoming.count
	for range 10 {
		exchange(100)
	}
	if n := dialled.(*conn).incoming.count - began; n < 10 {
		t.Errorf("%d of 10 small pieces were read cheaply", n)
	}
	if err := secure.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the other end: %v", err)
	}
}
