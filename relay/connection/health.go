package connection

import (
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Health says how the relay watches a saved connection by itself, and whom it
// tells. Nil: it is pinged at the default interval, and nobody is told.
type Health struct {
	Off          bool   `json:"off,omitempty" doc:"true: it is not pinged by itself, and its state stays unknown."`
	EveryMinutes int    `json:"everyMinutes,omitempty" doc:"How often it is pinged, in minutes, 1 to 1440. Left out: 5."`
	Webhook      string `json:"webhook,omitempty" doc:"The http or https URI to which a change of state is posted as JSON. {{secret.NAME}} is filled in."`
	// WebhookSecret names a secret, so that its value stays where secrets are.
	WebhookSecret string   `json:"webhookSecret,omitempty" doc:"The name of the secret of this connection by which the posts are signed. Left out: they are not."`
	Emails        []string `json:"emails,omitempty" doc:"Addresses that are told of a change of state, where the relay has a mail server."`
}

// Limits of Health.
const (
	DefaultHealthMinutes = 5
	MaxHealthMinutes     = 24 * 60
	MaxHealthEmails      = 20
)

// HealthEvery is how often the connection is pinged; 0: not at all.
func (s Spec) HealthEvery() time.Duration {
	switch {
	case s.Health == nil:
		return DefaultHealthMinutes * time.Minute
	case s.Health.Off:
		return 0
	}
	return time.Duration(s.Health.EveryMinutes) * time.Minute
}

// defaultHealth is h as it is stored; nil where it says nothing but the default.
func defaultHealth(h *Health) *Health {
	if h == nil {
		return nil
	}
	d := *h
	if d.EveryMinutes == 0 {
		d.EveryMinutes = DefaultHealthMinutes
	}
	d.Webhook, d.WebhookSecret = strings.TrimSpace(d.Webhook), strings.TrimSpace(d.WebhookSecret)
	if d.Webhook == "" {
		d.WebhookSecret = ""
	}
	d.Emails = slices.Clone(d.Emails)
	for i, address := range d.Emails {
		d.Emails[i] = strings.TrimSpace(address)
	}
	if !d.Off && d.EveryMinutes == DefaultHealthMinutes && d.Webhook == "" && len(d.Emails) == 0 {
		return nil
	}
	return &d
}

func checkHealth(f *faults, h *Health, secretNames []string) {
	if h == nil {
		return
	}
	if h.EveryMinutes < 1 || h.EveryMinutes > MaxHealthMinutes {
		f.add("health.everyMinutes", "Ping every 1 to %d minutes; %d is not among them.", MaxHealthMinutes, h.EveryMinutes)
	}
	checkWebhook(f, h.Webhook)
	if h.WebhookSecret != "" && !slices.Contains(secretNames, h.WebhookSecret) {
		f.add("health.webhookSecret", "The secret %s is not set: give it a value under Secrets, or leave this empty.", printable(shorten(h.WebhookSecret, MaxSecretName)))
	}
	if len(h.Emails) > MaxHealthEmails {
		f.add("health.emails", "At most %d addresses; there are %d.", MaxHealthEmails, len(h.Emails))
	}
	seen := map[string]bool{}
	for i, address := range h.Emails {
		path := fmt.Sprintf("health.emails[%d]", i)
		parsed, err := mail.ParseAddress(address)
		switch {
		case err != nil || parsed.Address != address || len(address) > 254:
			f.add(path, "“%s” is not an e-mail address: write it as name@example.com.", printable(shorten(address, 80)))
		case seen[strings.ToLower(address)]:
			f.add(path, "%s is there twice.", address)
		}
		seen[strings.ToLower(address)] = true
	}
}

func checkWebhook(f *faults, webhook string) {
	if webhook == "" {
		return
	}
	if len(webhook) > MaxURI {
		f.add("health.webhook", "The webhook has at most %d bytes.", MaxURI)
		return
	}
	pieces, malformed := splitPlaceholders(webhook)
	if len(malformed) > 0 {
		return // told by checkPlaceholders
	}
	var b strings.Builder
	for _, p := range pieces {
		switch {
		case p.agents:
			f.add("health.webhook", "%s stays with the agent, and the webhook is called by the relay: use {{secret.%s}}.", p.shown(), p.secret)
			return
		case p.secret != "":
			b.WriteString("x-secret-x")
		}
		b.WriteString(p.text)
	}
	u, err := url.Parse(b.String())
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		f.add("health.webhook", "The webhook is a whole URI, such as https://hooks.example.com/sallyport.")
	case strings.Contains(u.Host, "x-secret-x"):
		f.add("health.webhook", "The host of the webhook can't be a secret: where notices go must be seen here.")
	case u.User != nil || u.Fragment != "":
		f.add("health.webhook", "The webhook can't hold a user name or a “#”: use {{secret.NAME}} in its path or query.")
	}
}

// FillWebhook is the webhook with its secrets, "" where there is none.
func (c *Connection) FillWebhook() (string, error) {
	if c.Health == nil || c.Health.Webhook == "" {
		return "", nil
	}
	return Fill(c.Health.Webhook, EscapeURI, c.Secrets, nil)
}
