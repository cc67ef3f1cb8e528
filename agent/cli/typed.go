package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
)

// typed is what a person types, line by line.
type typed struct{ lines *bufio.Reader }

func typedAt(in io.Reader) typed { return typed{bufio.NewReader(in)} }

// errStopped: Ctrl-C, while somebody was asked.
var errStopped = errors.New("stopped")

// line is the next line, with its end. It ends with ctx, though a read from a
// terminal can't be broken off: that read goes on until the program has ended.
func (t typed) line(ctx context.Context) (string, error) {
	type read struct {
		text string
		err  error
	}
	done := make(chan read, 1)
	go func() {
		text, err := t.lines.ReadString('\n')
		done <- read{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return "", errStopped
	}
}
