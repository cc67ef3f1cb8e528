package health

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"sallyport/relay/connection"
	"sallyport/relay/store"
)

// Types of a Notice.
const (
	TypeOnline    = "connection.online"
	TypeFailing   = "connection.failing"
	TypeOffline   = "connection.offline"
	TypeUnknown   = "connection.unknown"
	TypeUnsettled = "connection.unsettled" // it changed often, and was not told of each time
	TypeTest      = "test"
)

// Notice is what is told of a connection, by whatever way. A webhook is posted
// it as JSON; fields may be added.
type Notice struct {
	ID         string  `json:"id"`   // the same on every attempt
	Type       string  `json:"type"` // "connection." and the state, or another of the Types
	At         string  `json:"at"`   // RFC 3339
	Text       string  `json:"text"` // what happened, in one sentence
	Connection Subject `json:"connection"`
	State      State   `json:"state"`
	Was        State   `json:"was"`
	Since      string  `json:"since"`                // of the state
	Message    string  `json:"message"`              // of the last ping
	LastWorked string  `json:"lastWorked,omitempty"` // "" where it never did
	// Differences are what has changed since it last worked.
	Differences []Difference `json:"differences"`
	Unsettled   *Unsettled   `json:"unsettled,omitempty"` // of that type
}

// Subject is the connection that a Notice is about.
type Subject struct {
	ID   string          `json:"id"`
	Name string          `json:"name"`
	Mode connection.Mode `json:"mode"`
	URL  string          `json:"url"` // of its page at the relay
}

// Unsettled is how often a connection changed without a notice.
type Unsettled struct {
	Changes int    `json:"changes"`
	Since   string `json:"since"`
}

// Kinds of delivery.
const (
	webhook = "webhook"
	email   = "email"
)

// notices are what there is to deliver on an occasion: the same words to
// everybody. is.Told has been asked; what it held is told now.
func (w *Watch) notices(c *connection.Connection, is *condition, was State, differs []Difference, on occasion, now time.Time) []store.Notice {
	if on == nothing {
		return nil
	}
	n := Notice{Type: "connection." + string(is.State), At: rfc3339(now), Connection: w.Courier.subject(c), State: is.State, Was: was,
		Since: rfc3339(is.Since), Message: is.Message, Differences: differs}
	if !is.WorkedAt.IsZero() {
		n.LastWorked = rfc3339(is.WorkedAt)
	}
	if n.Differences == nil {
		n.Differences = []Difference{}
	}
	if on == aSummary {
		n.Type, n.Unsettled = TypeUnsettled, &Unsettled{Changes: is.Told.Held, Since: rfc3339(is.Told.HeldSince)}
		is.Told.release()
	}
	n.Text = n.sentence()
	return w.addressed(c, n, now)
}

// addressed is a notice to each who is to be told.
func (w *Watch) addressed(c *connection.Connection, n Notice, now time.Time) []store.Notice {
	if c.Health == nil {
		return nil
	}
	var all []store.Notice
	add := func(kind, recipient string) {
		n.ID = store.NewID("ntc")
		all = append(all, store.Notice{ID: n.ID, ConnectionID: c.ID, At: now, Kind: kind, Recipient: recipient, Body: asJSON(n), NextAt: now})
	}
	if c.Health.Webhook != "" {
		add(webhook, hostOf(c.Health.Webhook))
	}
	if w.Courier.Mails() {
		for _, address := range c.Health.Emails {
			add(email, address)
		}
	}
	return all
}

// hostOf is what of a webhook may be shown to everybody: its path is often what
// proves who posts.
func hostOf(webhook string) string {
	u, err := url.Parse(webhook)
	if err != nil { // a placeholder in its path is fine, so this can't be
		return "webhook"
	}
	return u.Host
}

// sentence says what happened.
func (n Notice) sentence() string {
	name := "“" + n.Connection.Name + "”"
	switch n.Type {
	case TypeTest:
		return "This is a test notice about " + name + ". Nothing has happened."
	case TypeUnsettled:
		return fmt.Sprintf("%s has changed its state %s more since %s. Now it is %s.", name, times(n.Unsettled.Changes), n.Unsettled.Since, n.State)
	case TypeOnline:
		return name + " works again."
	case TypeFailing:
		return fmt.Sprintf("%s is failing since %s. %s", name, n.Since, n.Message)
	case TypeOffline:
		return fmt.Sprintf("%s is offline since %s. %s", name, n.Since, n.Message)
	}
	return strings.TrimSpace(name + " is not watched any more. " + n.Message)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }
