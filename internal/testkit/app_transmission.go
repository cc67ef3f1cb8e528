package testkit

import (
	"crypto/rand"
	"fmt"
	"testing"
)

// StartTransmission starts Transmission, whose API is POST /transmission/rpc: it
// wants Basic credentials, and with each request a token, which the 409 to one
// without it gives. It has no cookies. A restart makes another token.
func StartTransmission(t testing.TB, site *Site) *App {
	t.Helper()
	path := Program(t, "transmission-daemon")
	dir, peers := t.TempDir(), FreePort(t)
	a := &App{Port: FreePort(t), User: "ada", Password: rand.Text()}
	return a.run(t, ProcessOptions{Name: "transmission-daemon", Path: path, Site: site, Env: []string{"HOME=" + dir},
		Args: []string{"--foreground", "--config-dir", dir, "--rpc-bind-address", "127.0.0.1", "--port", fmt.Sprint(a.Port),
			"--bind-address-ipv4", "127.0.0.1", "--bind-address-ipv6", "::1", "--peerport", fmt.Sprint(peers), "--no-portmap", "--no-dht", "--no-lpd", "--no-utp",
			"--auth", "--username", a.User, "--password", a.Password}})
}
