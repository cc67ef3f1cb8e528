//go:build linux || darwin

package service

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
)

// account is a user, with a group of the same name, that nobody can log in as.
type account string

func (a account) MakeDir(path string, access Access) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	return a.grant(path, access, map[Access]os.FileMode{Reads: 0o750, Owns: 0o700}[access])
}

func (a account) Grant(path string, access Access) error {
	return a.grant(path, access, map[Access]os.FileMode{Reads: 0o640, Owns: 0o600}[access])
}

// grant gives a path to the account, or lets it read what root keeps. It
// follows no link: the agent may write in its own directory, and must not be
// able to have another file given to it there.
func (a account) grant(path string, access Access, mode os.FileMode) error {
	uid, gid, err := a.ids()
	if err != nil {
		return fmt.Errorf("give %s to the user %s: %w", path, a, err)
	}
	if access == Reads {
		uid = 0
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("give %s to the user %s: %w", path, a, err)
	}
	defer f.Close()
	// The mode first: at no moment can anybody else read it.
	return errors.Join(f.Chmod(mode), f.Chown(uid, gid))
}

func (a account) ids() (uid, gid int, err error) {
	u, err := user.Lookup(string(a))
	if err != nil {
		return 0, 0, err
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, err
	}
	gid, err = strconv.Atoi(u.Gid)
	return uid, gid, err
}

// exists reports whether the user is there.
func (a account) exists() (bool, error) {
	_, err := user.Lookup(string(a))
	if unknown := user.UnknownUserError(""); errors.As(err, &unknown) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up the user %s: %w", a, err)
	}
	return true, nil
}
