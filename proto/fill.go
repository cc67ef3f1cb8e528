package proto

import (
	"fmt"
	"strings"
)

// CapabilityFill: the agent puts its own secrets where HeaderFill says, and
// hides them where HeaderMask asks for it. A relay sends neither to an agent
// that does not name it in its Hello: the marks would go to the target.
const CapabilityFill = "fill"

// Where a mark may stand; see Fill. A header field is FillInHeader and its name.
const (
	FillInBody   = "body"
	FillInURI    = "uri" // path or query
	FillInHeader = "header="
)

// Fill is one line of HeaderFill: a secret of the agent is to be put into the
// request. Its parts are separated by one blank:
//
//	mark SP place SP escape SP secret
//	agent.secret.erp.X7…_0_ body json erp
//
// The agent replaces the mark, in that place and nowhere else, by the value of
// the secret, escaped. A relay makes marks at random for each request and puts
// them into what the connection's owner wrote: so nothing that a caller or an
// application sends can be taken for one.
type Fill struct {
	Mark   string // letters, digits, "_", "-" and "."; minMark bytes at least
	Place  string // FillInBody, FillInURI, or FillInHeader and a field's name
	Escape string // a kind of package internal/escape
	Secret string // its name in the agent's configuration
}

// minMark is the least length of a mark, in bytes. Shorter ones could stand in
// a request by chance.
const minMark = 20

// String is the line as it goes over the wire.
func (f Fill) String() string {
	return f.Mark + " " + f.Place + " " + f.Escape + " " + f.Secret
}

// Header is the name of the field in which the mark stands, "" where it stands
// elsewhere.
func (f Fill) Header() string {
	name, ok := strings.CutPrefix(f.Place, FillInHeader)
	if !ok {
		return ""
	}
	return name
}

// ParseFill reads a line.
func ParseFill(line string) (Fill, error) {
	parts := strings.Split(line, " ")
	if len(parts) != 4 {
		return Fill{}, fmt.Errorf("%s: %d parts, not 4", HeaderFill, len(parts))
	}
	f := Fill{Mark: parts[0], Place: parts[1], Escape: parts[2], Secret: parts[3]}
	switch {
	case len(f.Mark) < minMark || strings.ContainsFunc(f.Mark, notPlain):
		return Fill{}, fmt.Errorf("%s: faulty mark", HeaderFill)
	case f.Place != FillInBody && f.Place != FillInURI && f.Header() == "":
		return Fill{}, fmt.Errorf("%s: unknown place %q", HeaderFill, f.Place)
	case strings.HasPrefix(strings.ToLower(f.Header()), strings.ToLower(HeaderPrefix)):
		return Fill{}, fmt.Errorf("%s: %s is no field of the target's", HeaderFill, f.Header())
	case f.Secret == "" || strings.ContainsFunc(f.Secret, notPlain):
		return Fill{}, fmt.Errorf("%s: faulty name of a secret", HeaderFill)
	}
	return f, nil
}

// ShowMarks is a text for people, such as a line of a log, with placeholders in
// place of the marks that stand in it: fills are the lines of HeaderFill. The
// random part of a mark tells nobody anything, and is another one each time.
func ShowMarks(text string, fills []string) string {
	for _, line := range fills {
		if f, err := ParseFill(line); err == nil {
			text = strings.ReplaceAll(text, f.Mark, "{{"+markPrefix+f.Secret+"}}")
		}
	}
	return text
}

// markPrefix is what a placeholder for a secret of the agent begins with, and by
// the relay's making a mark, too.
const markPrefix = "agent.secret."

// notPlain tells what no escaping leaves alone.
func notPlain(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.'
}
