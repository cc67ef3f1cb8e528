package config

import (
	"fmt"
	netmail "net/mail"

	"sallyport/relay/mail"
)

// setSMTP's error holds no part of the value, which has a password.
func setSMTP(c *Config, value string) error {
	if value == "" {
		return nil
	}
	server, err := mail.ParseServer(value)
	if err != nil {
		return err
	}
	c.Mail = &server
	return nil
}

func setMailFrom(c *Config, value string) error {
	if value == "" {
		return nil
	}
	if _, err := netmail.ParseAddress(value); err != nil {
		return fmt.Errorf("%q is not an address such as Sallyport <relay@example.com>", value)
	}
	c.MailFrom = value
	return nil
}

// checkMail reports what of the mail options does not go together.
func (c *Config) checkMail() error {
	if (c.Mail == nil) != (c.MailFrom == "") {
		return fmt.Errorf("smtp-url and mail-from go together: set both, or neither")
	}
	if c.Mail != nil {
		c.Mail.From = c.MailFrom
	}
	return nil
}
