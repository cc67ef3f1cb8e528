// Package mail hands e-mail in at the mail server that whoever runs the relay
// has named. Package health sends its notices by it; package config reads where
// the server is. It keeps nothing: whoever sends tries again.
package mail

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/wneessen/go-mail"

	"sallyport/internal/buildinfo"
)

// Sender sends by one server. Each message has a connection of its own: there
// are few.
type Sender struct {
	server Server
	tls    *tls.Config // nil: the system's certificates
}

// NewSender returns a Sender; trust nil means the certificates of the system.
func NewSender(server Server, trust *tls.Config) *Sender { return &Sender{server: server, tls: trust} }

// Message is one e-mail, in plain text.
type Message struct {
	ID      string // with an @; the same on every attempt, so that a mailbox that has it already sees so
	To      string
	Subject string
	Text    string
	At      time.Time
}

// timeout bounds each step with the server.
const timeout = 20 * time.Second

// Send hands a message in.
func (s *Sender) Send(ctx context.Context, m Message) error {
	message := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := message.From(s.server.From); err != nil {
		return fmt.Errorf("the sender %s can't be used: %w", s.server.From, err)
	}
	if err := message.To(m.To); err != nil {
		return fmt.Errorf("the address can't be used: %w", err)
	}
	message.Subject(m.Subject)
	message.SetMessageIDWithValue(m.ID)
	message.SetDateWithValue(m.At)
	message.SetUserAgent("Sallyport/" + buildinfo.Version())
	message.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no machine answers
	message.SetBodyString(mail.TypeTextPlain, m.Text)
	client, err := s.client()
	if err != nil {
		return fmt.Errorf("the mail server %s can't be used: %w", s.server.Host, err)
	}
	if err := client.DialAndSendWithContext(ctx, message); err != nil {
		return fmt.Errorf("the mail server %s did not take it: %w", s.server.Host, err)
	}
	return nil
}

// client is a connection to the server, to be made.
func (s *Sender) client() (*mail.Client, error) {
	options := []mail.Option{mail.WithPort(s.server.Port), mail.WithTimeout(timeout)}
	switch s.server.Secure {
	case Implicit:
		options = append(options, mail.WithSSL())
	case Opportunistic:
		options = append(options, mail.WithTLSPolicy(mail.TLSOpportunistic))
	case Plain:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if s.tls != nil {
		config := s.tls.Clone()
		config.ServerName = s.server.Host
		options = append(options, mail.WithTLSConfig(config))
	}
	if s.server.Username != "" {
		kind := mail.SMTPAuthAutoDiscover
		if s.server.Secure == Plain { // somebody has said so in so many words
			kind = mail.SMTPAuthPlainNoEnc
		}
		options = append(options, mail.WithSMTPAuth(kind), mail.WithUsername(s.server.Username), mail.WithPassword(s.server.Password))
	}
	return mail.NewClient(s.server.Host, options...)
}
