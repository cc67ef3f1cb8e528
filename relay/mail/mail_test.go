package mail

import (
	"crypto/tls"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var letter = Message{ID: "ntc_1@relay.example.com", To: "ada@example.com", Subject: "Plant 2 – ERP is failing", At: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
	Text: "“Plant 2” is failing.\n\n.a line that begins with a dot\n"}

func TestMailIsHandedInAtARealServer(t *testing.T) {
	dir := t.TempDir()
	authority := testkit.NewAuthority(t, dir)
	certFile, keyFile := authority.Issue(t, dir, "mail", "localhost")
	trust := &tls.Config{RootCAs: authority.Pool}
	for name, c := range map[string]struct {
		url  string
		with testkit.SMTPOptions
	}{
		"STARTTLS and a login": {"smtp://relay:p%40ss%3Aw@localhost:PORT?tls=starttls", testkit.SMTPOptions{CertFile: certFile, KeyFile: keyFile, Username: "relay", Password: "p@ss:w"}},
		"TLS from the start":   {"smtps://relay:p%40ss%3Aw@localhost:PORT", testkit.SMTPOptions{CertFile: certFile, KeyFile: keyFile, Implicit: true, Username: "relay", Password: "p@ss:w"}},
		"this machine":         {"smtp://localhost:PORT", testkit.SMTPOptions{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			smtp := testkit.StartSMTP(t, c.with)
			server, err := ParseServer(strings.ReplaceAll(c.url, "PORT", fmt.Sprint(smtp.Port)))
			if err != nil {
				t.Fatal(err)
			}
			server.From = "Sallyport <relay@example.com>"
			if err := NewSender(server, trust).Send(t.Context(), letter); err != nil {
				t.Fatal(err)
			}
			mails := smtp.Mails(t)
			if len(mails) != 1 {
				t.Fatalf("%d mails", len(mails))
			}
			h := mails[0].Header
			subject, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
			if err != nil || subject != letter.Subject || h.Get("Message-Id") != "<ntc_1@relay.example.com>" || h.Get("From") != `"Sallyport" <relay@example.com>` ||
				h.Get("To") != "<ada@example.com>" || h.Get("Auto-Submitted") != "auto-generated" {
				t.Errorf("header %v", h)
			}
			if at, err := h.Date(); err != nil || !at.Equal(letter.At) {
				t.Errorf("date %v, %v", at, err)
			}
			body, err := io.ReadAll(quotedprintable.NewReader(mails[0].Body))
			if err != nil || strings.TrimSpace(strings.ReplaceAll(string(body), "\r\n", "\n")) != strings.TrimSpace(letter.Text) {
				t.Errorf("body %q, %v", body, err)
			}
		})
	}
}

func TestMailIsNotHandedInWithoutTheSecurityThatWasAsked(t *testing.T) {
	t.Run("no STARTTLS", func(t *testing.T) {
		smtp := testkit.StartSMTP(t, testkit.SMTPOptions{})
		server := Server{Host: "localhost", Port: smtp.Port, Secure: StartTLS, From: "relay@example.com"}
		if err := NewSender(server, nil).Send(t.Context(), letter); err == nil || !strings.Contains(err.Error(), "localhost") {
			t.Errorf("got %v", err)
		}
		if n := len(smtp.Mails(t)); n > 0 {
			t.Errorf("%d mails were handed in in clear text", n)
		}
	})
	t.Run("a certificate of somebody else", func(t *testing.T) {
		dir := t.TempDir()
		certFile, keyFile := testkit.NewAuthority(t, dir).Issue(t, dir, "mail", "localhost")
		smtp := testkit.StartSMTP(t, testkit.SMTPOptions{CertFile: certFile, KeyFile: keyFile})
		server := Server{Host: "localhost", Port: smtp.Port, Secure: StartTLS, From: "relay@example.com"}
		if err := NewSender(server, nil).Send(t.Context(), letter); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("got %v", err)
		}
		if n := len(smtp.Mails(t)); n > 0 {
			t.Errorf("%d mails", n)
		}
	})
	t.Run("a wrong password", func(t *testing.T) {
		dir := t.TempDir()
		authority := testkit.NewAuthority(t, dir)
		certFile, keyFile := authority.Issue(t, dir, "mail", "localhost")
		smtp := testkit.StartSMTP(t, testkit.SMTPOptions{CertFile: certFile, KeyFile: keyFile, Username: "relay", Password: "right"})
		server := Server{Host: "localhost", Port: smtp.Port, Secure: StartTLS, From: "relay@example.com", Username: "relay", Password: "very-wrong"}
		err := NewSender(server, &tls.Config{RootCAs: authority.Pool}).Send(t.Context(), letter)
		if err == nil || strings.Contains(err.Error(), "very-wrong") {
			t.Errorf("got %v", err)
		}
	})
}

func TestServersAreRead(t *testing.T) {
	for text, want := range map[string]Server{
		"smtp://mail.example.com":                   {Host: "mail.example.com", Port: 587, Secure: StartTLS},
		"smtps://ada:p%40ss@mail.example.com":       {Host: "mail.example.com", Port: 465, Secure: Implicit, Username: "ada", Password: "p@ss"},
		"smtp://127.0.0.1":                          {Host: "127.0.0.1", Port: 25, Secure: Opportunistic},
		"smtp://[::1]:2525":                         {Host: "::1", Port: 2525, Secure: Opportunistic},
		"smtp://localhost?tls=starttls":             {Host: "localhost", Port: 25, Secure: StartTLS},
		"smtp://mail.example.com:25/?tls=none":      {Host: "mail.example.com", Port: 25, Secure: Plain},
		"smtp://mail.example.com?tls=opportunistic": {Host: "mail.example.com", Port: 587, Secure: Opportunistic},
	} {
		got, err := ParseServer(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "mail.example.com", "http://ada:s3cret@mail", "smtp://", "smtp://ada:s3cret@mail?tls=maybe", "smtps://ada:s3cret@mail?tls=none",
		"smtp://ada:s3cret@mail:0", "smtp://ada:s3cret@mail/path", "smtp://ada:s3cret@mail?x=y", "smtp://ada:s3cret%@mail"} {
		if _, err := ParseServer(text); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
