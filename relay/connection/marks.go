package connection

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
)

// Marks stand in one request where secrets of the agent are to stand: the relay
// never has their values. The agent is told which marks there are, and where,
// and puts the values there.
//
// A mark holds a random text, made anew for each request. So what a caller or an
// application writes is never taken for one, whatever it looks like: what is
// filled in is only what the connection's owner wrote.
type Marks struct {
	random string
	made   []Mark
}

// Mark is one of them. It consists of letters, digits, "_", "-" and ".", which
// no escaping changes.
type Mark struct {
	Text   string
	Secret string // name of the agent's secret
	Escape Escape
}

// mark is the text to write in the place of a secret.
func (m *Marks) mark(secret string, e Escape) string {
	for _, known := range m.made {
		if known.Secret == secret && known.Escape == e {
			return known.Text
		}
	}
	if m.random == "" {
		m.random = rand.Text()
	}
	// It ends with a sign, so that none is the beginning of another.
	text := fmt.Sprintf("%s%s.%s_%d_", agentPrefix, secret, m.random, len(m.made))
	m.made = append(m.made, Mark{Text: text, Secret: secret, Escape: e})
	return text
}

// Any reports whether a mark was made. There may be no Marks at all.
func (m *Marks) Any() bool { return m != nil && len(m.made) > 0 }

// In are the marks that text holds.
func (m *Marks) In(text string) []Mark {
	if !m.Any() || !strings.Contains(text, m.random) {
		return nil
	}
	var found []Mark
	for _, mark := range m.made {
		if strings.Contains(text, mark.Text) {
			found = append(found, mark)
		}
	}
	return found
}

// Shown is text with the placeholder in the place of each mark, for people.
func (m *Marks) Shown(text string) string {
	for _, mark := range m.In(text) {
		text = strings.ReplaceAll(text, mark.Text, piece{secret: mark.Secret, agents: true}.shown())
	}
	return text
}

// AgentSecrets returns the names of the agent's secrets that s uses, sorted,
// each once.
func AgentSecrets(s Spec) []string {
	if s.Mode != OnPremise {
		return nil
	}
	var names []string
	for _, f := range templates(s) {
		if !strings.Contains(f.text, agentPrefix) { // mostly; templates are read for each request
			continue
		}
		pieces, _ := splitPlaceholders(f.text)
		for _, p := range pieces {
			if p.agents {
				names = append(names, p.secret)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
