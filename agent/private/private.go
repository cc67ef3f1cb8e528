// Package private reads files that hold secrets or keys: it refuses those that
// other users of the machine can read.
package private

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// ExposedError is a file that others can read.
type ExposedError struct {
	Path string
	Mode fs.FileMode
}

func (e *ExposedError) Error() string {
	return fmt.Sprintf("%s can be read by other users of this machine (mode %04o): run `chmod 600 %s`", e.Path, e.Mode, e.Path)
}

// Read reads a file of at most max bytes that nobody else can read; where it is
// longer, max+1 bytes of it. Its errors quote nothing of the file.
func Read(path string, max int64) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() { // a pipe would make us wait
		return "", fmt.Errorf("%s is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return "", err
	}
	if err := check(path, info); err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(f, max+1))
	return string(text), err
}

// WithoutLineBreak takes one line break off the end, which editors put there.
// Blanks may be part of a password.
func WithoutLineBreak(text string) string {
	return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
}
