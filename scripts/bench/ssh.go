package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"

	"sallyport/internal/child"
)

// sshServer is a throw-away sshd with a configuration, host key and user key of
// its own. What it does not say is OpenSSH's default: the ciphers, no
// compression, one TCP connection for all that is forwarded.
type sshServer struct {
	setup *setup
	dir   string
	port  string
	*child.Child
}

// sshWay reaches the target by `ssh -R`. It needs OpenSSH, and is left out by
// name where that is absent.
func (s *setup) sshWay(ctx context.Context) (*way, error) {
	w := &way{}
	// sshd insists on being started by its full path.
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		sshd = "/usr/sbin/sshd"
	}
	for _, program := range []string{sshd, "ssh", "ssh-keygen"} {
		if _, err := exec.LookPath(program); err != nil {
			w.absent = program + " is not installed"
			return w, nil
		}
	}
	server, err := s.startSSHD(ctx, sshd)
	if err != nil {
		return nil, err
	}
	if s.choice.needs(false) {
		if w.near, err = server.reverse(ctx, server.port); err != nil {
			return nil, err
		}
		w.near.idle = server.idleClient
	}
	if !s.choice.needs(true) {
		return w, nil
	}
	long, err := s.longPath(net.JoinHostPort("127.0.0.1", server.port))
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(long)
	if err != nil {
		return nil, err
	}
	w.far, err = server.reverse(ctx, port)
	return w, err
}

// startSSHD starts sshd on a port of loopback.
func (s *setup) startSSHD(ctx context.Context, sshd string) (*sshServer, error) {
	server := &sshServer{setup: s, dir: filepath.Join(s.work, "ssh")}
	if err := os.Mkdir(server.dir, 0o700); err != nil {
		return nil, err
	}
	for _, key := range []string{"host", "user"} {
		if out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(server.dir, key)).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("make the %s key: %w: %s", key, err, out)
		}
	}
	if os.Geteuid() == 0 {
		// The folder that sshd changes into before anyone has signed in; as a
		// service, its unit makes it.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return nil, err
		}
	}
	free, err := freePort()
	if err != nil {
		return nil, err
	}
	server.port = strconv.Itoa(free)
	address := net.JoinHostPort("127.0.0.1", server.port)
	config := filepath.Join(server.dir, "sshd_config")
	text := "ListenAddress " + address + "\nHostKey " + filepath.Join(server.dir, "host") +
		"\nAuthorizedKeysFile " + filepath.Join(server.dir, "user.pub") +
		"\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	var log logFile
	server.Child, log, err = s.launch(child.Options{Name: "sshd", Path: sshd, Args: []string{"-D", "-e", "-f", config}})
	if err != nil {
		return nil, err
	}
	return server, await(ctx, server.Child, func() error {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return fmt.Errorf("%w: %s", err, log)
		}
		return conn.Close()
	})
}

// reverse starts one `ssh -R` to the server at a port, and returns the door that
// it opens there, one port for each application.
func (server *sshServer) reverse(ctx context.Context, port string) (*door, error) {
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	plain, err := freePort()
	if err != nil {
		return nil, err
	}
	secure, err := freePort()
	if err != nil {
		return nil, err
	}
	s := server.setup
	c, log, err := s.launch(child.Options{Name: "ssh", Path: "ssh", Args: []string{
		"-F", "none", "-N", "-p", port, "-i", filepath.Join(server.dir, "user"),
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes",
		"-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o", "LogLevel=ERROR",
		"-R", fmt.Sprintf("127.0.0.1:%d:%s", plain, s.plain), "-R", fmt.Sprintf("127.0.0.1:%d:%s", secure, s.secure),
		me.Username + "@127.0.0.1",
	}})
	if err != nil {
		return nil, err
	}
	d := s.doors(fmt.Sprintf("127.0.0.1:%d", plain), fmt.Sprintf("127.0.0.1:%d", secure), part{"sshd", server.PID()}, part{"ssh", c.PID()})
	return d, await(ctx, c, func() error {
		if err := d.get(ctx, http.DefaultClient, "/small"); err != nil {
			return fmt.Errorf("%w: %s", err, log)
		}
		return nil
	})
}

// idleClient weighs the process in which sshd serves one more `ssh -R`.
func (server *sshServer) idleClient(ctx context.Context, _ plan) (float64, error) {
	known := make(map[int]bool)
	for _, pid := range childrenOf()[server.PID()] {
		known[pid] = true
	}
	if _, err := server.reverse(ctx, server.port); err != nil {
		return 0, err
	}
	var bytes int64
	for _, pid := range childrenOf()[server.PID()] {
		if !known[pid] {
			bytes += ownBytes(pid)
		}
	}
	return float64(bytes), nil
}

// freePort is a port of loopback that was free a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
