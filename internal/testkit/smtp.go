package testkit

import (
	"fmt"
	"net"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// SMTPOptions say how a mail server is reached.
type SMTPOptions struct {
	// CertFile and KeyFile: it wants STARTTLS, or with Implicit TLS from the
	// first byte. Empty: it has no TLS.
	CertFile, KeyFile string
	Implicit          bool
	// Username and Password: it wants them. Empty: it takes mail from anybody.
	Username, Password string
}

// SMTP is a mail server that keeps what it is handed.
type SMTP struct {
	Port int
	dir  string // a Maildir
}

// smtpServer is Debian's python3-aiosmtpd with the options above. It ends when
// its standard input does.
const smtpServer = `
import asyncio, ssl, sys
from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP, AuthResult
port, maildir, cert, key, implicit, user, password = sys.argv[1:8]
context = None
if cert:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
def check(server, session, envelope, mechanism, data):
    good = data.login == user.encode() and data.password == password.encode()
    return AuthResult(success=good, handled=False)
starttls = context if context and not implicit else None
def make():
    return SMTP(Mailbox(maildir), tls_context=starttls, require_starttls=starttls is not None,
                authenticator=check if user else None, auth_required=bool(user), auth_require_tls=starttls is not None)
async def main():
    server = await asyncio.get_running_loop().create_server(make, '127.0.0.1', int(port), ssl=context if implicit else None)
    async with server:
        await server.serve_forever()
asyncio.run(main())
`

// StartSMTP starts a mail server for the length of the test.
func StartSMTP(t testing.TB, o SMTPOptions) *SMTP {
	t.Helper()
	python := Program(t, "/usr/bin/python3")
	if err := exec.Command(python, "-c", "import aiosmtpd").Run(); err != nil {
		Missing(t, "python3-aiosmtpd", "Python does not find it")
	}
	s := &SMTP{Port: FreePort(t), dir: filepath.Join(t.TempDir(), "mail")}
	implicit := ""
	if o.Implicit {
		implicit = "1"
	}
	process := Start(t, ProcessOptions{Name: "aiosmtpd", Path: python, Args: []string{"-c", smtpServer,
		fmt.Sprint(s.Port), s.dir, o.CertFile, o.KeyFile, implicit, o.Username, o.Password}})
	Eventually(t, 30*time.Second, "the mail server listens", func() error {
		select {
		case <-process.Done():
			t.Fatalf("the mail server ended: %v\n%s", process.Err(), process.Log())
		default:
		}
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port))
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
	return s
}

// Mails are the messages that it was handed so far, in no order.
func (s *SMTP) Mails(t testing.TB) []*mail.Message {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var all []*mail.Message
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := mail.ReadMessage(strings.NewReader(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}
