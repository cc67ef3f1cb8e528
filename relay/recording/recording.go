// Package recording makes the draft of a connection from what a browser
// recorded of it: a request that was copied as cURL, or a HAR file of a login.
// The pages and the API offer it as "Fill from".
//
// It only reads. Nothing in the text is run, no file that it names is opened, and
// no address in it is asked. What looks like a password or a key goes into the
// draft's secrets, with a placeholder where it stood.
package recording

import (
	"fmt"
	"strings"

	"sallyport/relay/connection"
)

// Limits of what is read.
const (
	// MaxText is how long a recording may be, in bytes. A HAR of one login with
	// its scripts and pictures has a few megabytes; without those, a few
	// hundred kilobytes.
	MaxText = 8 << 20
	// maxCommand is how long a command may be. No shell takes a longer one.
	maxCommand = 1 << 20
	// maxEntries is how many requests of a HAR are looked at.
	maxEntries = 2000
)

// Draft is what was understood of a recording. It may be incomplete: a login
// does not say how the connection is called.
type Draft struct {
	Spec    connection.Spec
	Secrets map[string]string // values for the placeholders in Spec
	// Missing are placeholders whose value the recording does not have, such as
	// that of a shell variable.
	Missing []string
	Notes   []Note
}

// Note tells of one thing in the recording.
type Note struct {
	Kind Kind   `json:"kind" enum:"understood,left-out,check"`
	Text string `json:"text" doc:"A sentence: what it is, and why it was left out or is to be looked at."`
}

// Kind of a note.
type Kind string

const (
	Understood Kind = "understood" // it is in the draft
	LeftOut    Kind = "left-out"   // it is not, and why
	Check      Kind = "check"      // it is a guess, or needs a person
)

// Unreadable is the error of a text of which no draft can be made. Its message
// is a sentence for the person who pasted it.
type Unreadable struct{ Message string }

func (e *Unreadable) Error() string { return e.Message }

func unreadable(format string, args ...any) error {
	return &Unreadable{Message: fmt.Sprintf(format, args...)}
}

// Read makes a draft from a text of either kind, which it tells apart by how it
// begins. It fails with an *Unreadable.
func Read(text string) (Draft, error) {
	trimmed := strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	switch {
	case trimmed == "":
		return Draft{}, unreadable("Paste a request that a browser copied as cURL, or the content of a HAR file.")
	case len(text) > MaxText:
		return Draft{}, tooLong(len(text), MaxText, "Export the HAR without the content of pictures and scripts, or copy the login request alone as cURL.")
	case strings.HasPrefix(trimmed, "{"):
		return FromHAR(trimmed)
	default:
		return FromCurl(trimmed)
	}
}

func tooLong(n, limit int, instead string) error {
	return unreadable("The text has %d KiB, and at most %d KiB are read. %s", n>>10, limit>>10, instead)
}

// note adds to the draft's notes, each once.
func (d *Draft) note(kind Kind, format string, args ...any) {
	n := Note{kind, fmt.Sprintf(format, args...)}
	for _, known := range d.Notes {
		if known == n {
			return
		}
	}
	d.Notes = append(d.Notes, n)
}
