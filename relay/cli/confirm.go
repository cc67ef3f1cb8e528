package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// confirm asks a person whether to go on. Where there is nobody to ask, yes has
// to be said beforehand.
func confirm(o outside, yes bool, question string) error {
	if yes {
		return nil
	}
	if !interactive(o.in) {
		return errors.New("nothing was changed: say --yes where nobody can be asked")
	}
	fmt.Fprintf(o.err, "%s [y/N] ", question)
	line, err := bufio.NewReader(o.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was changed")
}

// interactive reports whether a person sits at the other end.
func interactive(in io.Reader) bool {
	f, ok := in.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
