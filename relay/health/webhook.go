package health

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/buildinfo"
	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/mail"
)

// Courier brings notices to their recipients.
type Courier struct {
	// Road is how webhooks are reached: the cloud road, which refuses private
	// addresses but for the exceptions that its relay makes.
	Road http.RoundTripper
	Mail *mail.Sender // nil: there is no mail server
	// PublicURL is how people reach the relay.
	PublicURL *url.URL
	Clock     func() time.Time
}

// Mails reports whether there is a mail server.
func (c *Courier) Mails() bool { return c.Mail != nil }

func (c *Courier) subject(of *connection.Connection) Subject {
	return Subject{ID: of.ID, Name: of.Name, Mode: of.Mode, URL: c.PublicURL.JoinPath("connections", of.ID).String()}
}

// secretPrefix begins a signing secret that is written in base64.
const secretPrefix = "whsec_"

// post posts a notice to the connection's webhook, signed as Standard Webhooks
// says (https://www.standardwebhooks.com): the field webhook-signature is "v1,"
// and the base64 of an HMAC-SHA256 over id, time and body with dots between
// them; webhook-timestamp is the time, in seconds since 1970. Redirects are not
// followed: they would bring the notice to who was not meant.
func (c *Courier) post(ctx context.Context, to *connection.Connection, id string, body []byte) error {
	where, err := to.FillWebhook()
	if err != nil {
		return err
	}
	if where == "" {
		return fmt.Errorf("the connection has no webhook any more")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, where, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("the webhook's URI can't be used") // err holds it, and it may hold a secret
	}
	at := strconv.FormatInt(c.Clock().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Sallyport/"+buildinfo.Version())
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", at)
	if name := to.Health.WebhookSecret; name != "" {
		secret, ok := to.Secrets[name]
		if !ok {
			return fmt.Errorf("the secret %s, which is to sign, is not set", name)
		}
		req.Header.Set("webhook-signature", "v1,"+signature(secret, id, at, body))
	}
	resp, err := c.Road.RoundTrip(req)
	if err != nil {
		if e := proto.AsError(err); e != nil {
			return fmt.Errorf("%s", e.Detail)
		}
		return fmt.Errorf("the webhook can't be reached")
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the webhook answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	return nil
}

// signature of a post; a secret that begins with whsec_ is base64, any other is
// taken as it is.
func signature(secret, id, at string, body []byte) string {
	key := []byte(secret)
	if encoded, ok := strings.CutPrefix(secret, secretPrefix); ok {
		if raw, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			key = raw
		}
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", id, at)
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
