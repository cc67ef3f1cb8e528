package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sallyport/agent/linefile"
)

// shownLines are lines of a file that a command shows.
type shownLines struct {
	path   string
	since  time.Time // files written last before it are passed over
	last   int       // so many of those that are there; 0: all
	follow bool      // and then those that come
	none   string    // is said where there is nothing
	// take returns what prints a line, if it is wanted. The line is not its own.
	take func(line []byte) (print func(), wanted bool)
}

// errEnough ends the reading.
var errEnough = errors.New("enough")

// showLines shows what is there, and where wanted what comes, until ctx ends.
func showLines(ctx context.Context, s shownLines, w World) error {
	reader := linefile.NewReader(s.path, s.since)
	var kept []func() // the last that are wanted, the oldest at next
	next, any := 0, false
	err := reader.Read(func(line []byte) error {
		if ctx.Err() != nil {
			return errEnough
		}
		any = true
		switch print, wanted := s.take(line); {
		case !wanted:
		case s.last == 0:
			print()
		case len(kept) < s.last:
			kept = append(kept, print)
		default:
			kept[next] = print
			next = (next + 1) % s.last
		}
		return nil
	})
	for i := range kept {
		kept[(next+i)%len(kept)]()
	}
	switch {
	case errors.Is(err, errEnough):
		return nil
	case err != nil:
		return permitted(err)
	case !s.follow && !any:
		fmt.Fprintln(w.Err, s.none)
	}
	if !s.follow {
		return nil
	}
	return permitted(reader.Follow(ctx, func(line []byte) error {
		if print, wanted := s.take(line); wanted {
			print()
		}
		return nil
	}))
}
