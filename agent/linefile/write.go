// Package linefile keeps files of lines on the agent's machine, its log and its
// ledger, within limits: a file that has grown is set aside under a name with
// the time, and the oldest of those go. It reads them back as one, and follows
// what is added.
//
// Packages ledger and logs write by it, package cli reads. It knows nothing of
// what a line says.
package linefile

import (
	"fmt"
	"io"
	"time"

	"github.com/DeRuina/timberjack"
)

// Limits bound what is kept.
type Limits struct {
	Size  int64         // bytes of one file, at least MinSize
	Files int           // how many are kept beside the one that is written; at least 1
	Age   time.Duration // of those; in whole days, at least 1
}

// MinSize is the least that Limits.Size may be: it has to hold what is written
// at once.
const MinSize = 2 << 20

const day = 24 * time.Hour

// Check says what is wrong with the limits.
func (l Limits) Check() error {
	switch {
	case l.Size < MinSize:
		return fmt.Errorf("a file of less than %d MiB can't be kept", MinSize>>20)
	case l.Files < 1:
		return fmt.Errorf("at least one file is kept")
	case l.Age < day:
		return fmt.Errorf("they are kept for a day at least")
	}
	return nil
}

// Create returns what writes to the file, which is made with the first line and
// readable by its owner only. It may block, and fail, as disks do. Only one
// process may write.
func Create(path string, l Limits) io.WriteCloser {
	return &timberjack.Logger{
		Filename: path, FileMode: 0o600, Compression: "none",
		MaxSize:    int(l.Size >> 20), // MiB
		MaxBackups: l.Files,
		MaxAge:     int(l.Age / day),
	}
}
