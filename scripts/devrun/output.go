package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// output is the terminal that several programs share: whole lines, each with
// the name of the program that wrote it.
type output struct {
	mu sync.Mutex
	to io.Writer
}

func (o *output) printf(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fmt.Fprintf(o.to, format, args...)
}

// of returns the writer of one program.
func (o *output) of(name string) io.Writer {
	return &lines{out: o, prefix: []byte(fmt.Sprintf("%-7s│ ", name))}
}

type lines struct {
	out    *output
	prefix []byte
	rest   []byte // a line that has not ended yet
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	end := bytes.LastIndexByte(l.rest, '\n') + 1
	if end == 0 {
		return len(p), nil
	}
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	for line := range bytes.Lines(l.rest[:end]) {
		if _, err := l.out.to.Write(append(l.prefix[:len(l.prefix):len(l.prefix)], line...)); err != nil {
			return 0, err
		}
	}
	l.rest = append(l.rest[:0], l.rest[end:]...)
	return len(p), nil
}
