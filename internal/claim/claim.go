// Package claim keeps two runs of one program from working with the same files,
// which each would take for its own.
package claim

import (
	"errors"
	"fmt"

	"github.com/gofrs/flock"
)

// ErrTaken: another process has the claim.
var ErrTaken = errors.New("another process has it")

// Take claims what a lock file stands for, which is made if it is absent; its
// directory is there. The claim ends with release or with the process, however
// that ends; the file stays. It does not wait: where somebody has it, the error is
// ErrTaken.
func Take(path string) (release func() error, err error) {
	lock := flock.New(path, flock.SetPermissions(0o600))
	switch taken, err := lock.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("lock %s: %w", path, err)
	case !taken:
		return nil, ErrTaken
	}
	return lock.Close, nil
}
