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
	"sallyport/internal/testkit"
)

// sshWay reaches the target by `ssh -R` through a throw-away sshd of its own
// configuration, host key and user key. It needs OpenSSH, and is left out by
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
	server, port, err := s.startSSHD(ctx, sshd)
	if err != nil {
		return nil, err
	}
	if s.choice.needs(false) {
		if w.near, err = s.reverse(ctx, server, port); err != nil {
			return nil, err
		}
	}
	if !s.choice.needs(true) {
		return w, nil
	}
	long, err := s.longPath(net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return nil, err
	}
	_, farPort, err := net.SplitHostPort(long)
	if err != nil {
		return nil, err
	}
	w.far, err = s.reverse(ctx, server, farPort)
	return w, err
}

// startSSHD starts sshd on a port of loopback.
func (s *setup) startSSHD(ctx context.Context, sshd string) (server *child.Child, port string, err error) {
	dir := filepath.Join(s.work, "ssh")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, "", err
	}
	for _, key := range []string{"host", "user"} {
		if out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)).CombinedOutput(); err != nil {
			return nil, "", fmt.Errorf("make the %s key: %w: %s", key, err, out)
		}
	}
	if os.Geteuid() == 0 {
		// The folder that sshd changes into before anyone has signed in; as a
		// service, its unit makes it.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return nil, "", err
		}
	}
	free, err := freePort()
	if err != nil {
		return nil, "", err
	}
	port = strconv.Itoa(free)
	address := net.JoinHostPort("127.0.0.1", port)
	config := filepath.Join(dir, "sshd_config")
	text := "ListenAddress " + address + "\nHostKey " + filepath.Join(dir, "host") +
		"\nAuthorizedKeysFile " + filepath.Join(dir, "user.pub") +
		"\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, "", err
	}
	log := &testkit.Log{}
	server, err = s.launch(child.Options{Name: "sshd", Path: sshd, Args: []string{"-D", "-e", "-f", config}, Output: log})
	if err != nil {
		return nil, "", err
	}
	err = await(ctx, server, func() error {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return fmt.Errorf("%w: %s", err, log)
		}
		return conn.Close()
	})
	return server, port, err
}

// reverse starts one `ssh -R` to sshd at a port, and returns the door that it
// opens there.
func (s *setup) reverse(ctx context.Context, server *child.Child, sshdPort string) (*door, error) {
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	log := &testkit.Log{}
	listen := fmt.Sprintf("127.0.0.1:%d", port)
	c, err := s.launch(child.Options{Name: "ssh", Path: "ssh", Output: log, Args: []string{
		"-F", "none", "-N", "-p", sshdPort, "-i", filepath.Join(s.work, "ssh", "user"),
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes",
		"-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o", "LogLevel=ERROR",
		"-R", listen + ":" + s.target, me.Username + "@127.0.0.1",
	}})
	if err != nil {
		return nil, err
	}
	d := &door{url: "http://" + listen, parts: append(s.ends(), part{"sshd", server.PID()}, part{"ssh", c.PID()})}
	return d, await(ctx, c, func() error {
		if err := d.get(ctx, http.DefaultClient); err != nil {
			return fmt.Errorf("%w: %s", err, log)
		}
		return nil
	})
}

// freePort is a port of loopback that was free a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
