package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// PlaceFile writes a file whole or not at all, with the access for the agent's
// account, and returns what puts back the content that it had before.
func PlaceFile(h Host, path string, content []byte, access Access) (undo func(context.Context) error, err error) {
	before, err := os.ReadFile(path)
	switch {
	case err == nil && bytes.Equal(before, content):
		return func(context.Context) error { return nil }, h.Grant(path, access)
	case errors.Is(err, fs.ErrNotExist):
		undo = func(context.Context) error { return os.Remove(path) }
	case err != nil:
		return nil, err
	default:
		undo = func(context.Context) error { return writeFile(h, path, before, access) }
	}
	return undo, writeFile(h, path, content, access)
}

func writeFile(h Host, path string, content []byte, access Access) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone already where all went well
	_, err = tmp.Write(content)
	if err == nil {
		err = tmp.Sync()
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = h.Grant(tmp.Name(), access)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(tmp.Name(), path)
}

// previousSuffix marks the program that an upgrade replaces, until it is seen
// to work. A running program can be renamed on every system, Windows included,
// but not written over.
const previousSuffix = ".previous"

// PlaceProgram copies the program at source to target. It returns what puts
// the earlier one back, and what is to be called once the new one has proved
// itself. A target with the same content is left alone.
func PlaceProgram(source, target string) (undo, done func(context.Context) error, err error) {
	nothing := func(context.Context) error { return nil }
	same, err := SameProgram(source, target)
	if err != nil || same {
		return nothing, nothing, err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return nil, nil, err
	}
	fresh := target + ".new"
	if err := copyProgram(source, fresh); err != nil {
		_ = os.Remove(fresh)
		return nil, nil, fmt.Errorf("copy the program to %s: %w", target, err)
	}
	previous := target + previousSuffix
	_ = os.Remove(previous) // of an upgrade that was cut short, perhaps
	had := true
	if err := os.Rename(target, previous); errors.Is(err, fs.ErrNotExist) {
		had = false
	} else if err != nil {
		_ = os.Remove(fresh)
		return nil, nil, err
	}
	undo = func(context.Context) error {
		if !had {
			return os.Remove(target)
		}
		_ = os.Remove(fresh)
		if err := os.Rename(target, fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Rename(previous, target); err != nil {
			return err
		}
		_ = os.Remove(fresh) // on Windows not while it still runs
		return nil
	}
	if err := os.Rename(fresh, target); err != nil {
		return nil, nil, errors.Join(err, undo(context.Background()))
	}
	done = func(context.Context) error {
		if err := os.Remove(previous); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	return undo, done, nil
}

// SameProgram reports whether two files are one, or have the same content.
func SameProgram(a, b string) (bool, error) {
	infoA, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	infoB, err := os.Stat(b)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if os.SameFile(infoA, infoB) {
		return true, nil
	}
	if infoA.Size() != infoB.Size() {
		return false, nil
	}
	contentA, err := os.ReadFile(a)
	if err != nil {
		return false, err
	}
	contentB, err := os.ReadFile(b)
	return err == nil && bytes.Equal(contentA, contentB), err
}

func copyProgram(source, target string) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Chmod(target, 0o755) // whatever the umask
	}
	return err
}

// RemoveProgram removes an installed program and what upgrades may have left of
// it. Windows keeps a program that runs, which may be the one that is asked to
// remove it: it is then renamed, and removed when the machine starts.
func RemoveProgram(path string) error {
	for _, left := range []string{path + previousSuffix, path + ".new"} {
		if err := os.Remove(left); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := removeRunning(path); err != nil {
		return err
	}
	RemoveEmpty(filepath.Dir(path))
	return nil
}

// RemoveEmpty removes a directory that bears our name and holds nothing more.
func RemoveEmpty(dir string) {
	if filepath.Base(dir) == "Sallyport" {
		_ = os.Remove(dir) // which fails where it holds something
	}
}
