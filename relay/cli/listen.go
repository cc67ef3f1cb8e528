package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"

	"sallyport/internal/rawio"
)

// listen opens the port and says in words why it can't. Without multipath TCP,
// which no agent asks for and whose sockets can't do all that acceptNoMore needs.
func listen(address string) (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	l, err := config.Listen(context.Background(), "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen on %s: another program uses this port already (a relay that still runs?); stop it, or choose another one with --listen", address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("listen on %s: not permitted; ports below 1024 need privileges, choose a higher one with --listen", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("listen on %s: this machine has no such address", address)
	case err != nil:
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return rawio.Listen(l), nil
}

// withTLS serves HTTPS on l. HTTP/2 is left out: a proxied answer that breaks
// off must reach the client as broken, and one tunnel per TCP connection is
// what agents expect.
func withTLS(l net.Listener, certFile, keyFile string) (net.Listener, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("tls-cert, tls-key: %w", err)
	case err != nil:
		return nil, fmt.Errorf("tls-cert %s, tls-key %s: no certificate with its private key in PEM form: %w", certFile, keyFile, err)
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}), nil
}
