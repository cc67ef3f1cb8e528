package health

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sallyport/relay/mail"
)

// mail sends a notice to one address.
func (c *Courier) mail(ctx context.Context, to string, n Notice) error {
	if c.Mail == nil {
		return errors.New("the relay has no mail server any more: see smtp-url")
	}
	return c.Mail.Send(ctx, mail.Message{ID: n.ID + "@" + c.PublicURL.Hostname(), To: to, Subject: n.subjectLine(), Text: n.letter(), At: c.Clock()})
}

// subjectLine of the mail; a name has no line break, by the rules of connections.
func (n Notice) subjectLine() string {
	name := n.Connection.Name
	switch n.Type {
	case TypeTest:
		return "Test notice about " + name
	case TypeOnline:
		return name + " works again"
	case TypeUnsettled:
		return name + " keeps changing, and is " + string(n.State) + " now"
	case TypeUnknown:
		return name + " is not watched any more"
	}
	return name + " is " + string(n.State)
}

// letter is the mail's text.
func (n Notice) letter() string {
	var b strings.Builder
	b.WriteString(n.Text + "\n\n")
	if n.Type != TypeTest {
		fmt.Fprintf(&b, "State:        %s, since %s\nBefore:       %s\n", n.State, n.Since, n.Was)
		if n.LastWorked != "" {
			fmt.Fprintf(&b, "Last worked:  %s\n", n.LastWorked)
		}
		b.WriteString("Last ping:    " + n.Message + "\n\n")
		if len(n.Differences) > 0 {
			b.WriteString("What has changed since it last worked:\n")
			for _, d := range n.Differences {
				b.WriteString("- " + d.Text + "\n")
			}
			b.WriteString("\n")
		} else if n.LastWorked != "" && n.State != Online {
			b.WriteString("Nothing that the relay knows of has changed since it last worked: not the\nconnection, nor its agent, certificate or kind of answer.\n\n")
		}
	}
	b.WriteString(n.Connection.URL + "\n")
	return b.String()
}
