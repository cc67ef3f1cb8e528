package vault

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// writeNew puts a keyset where no file is yet: fs.ErrExist where there is one.
// The complete file appears at once, so that a process that starts beside us
// never reads half of it.
func writeNew(path string, handle *keyset.Handle) error {
	temporary, err := writeTemporary(path, handle)
	if err != nil {
		return err
	}
	err = os.Link(temporary, path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		// Some file systems know no links. A rename is as complete; it only
		// does not notice a process that was as fast.
		return replaceWith(temporary, path)
	}
	return errors.Join(err, os.Remove(temporary))
}

// replace puts a keyset in the place of the file's.
func replace(path string, handle *keyset.Handle) error {
	temporary, err := writeTemporary(path, handle)
	if err != nil {
		return err
	}
	return replaceWith(temporary, path)
}

func replaceWith(temporary, path string) error {
	if err := os.Rename(temporary, path); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return nil
}

// writeTemporary writes a keyset to a new file beside path, readable by its
// owner only, and through to the disk: a lost keyset loses every secret.
func writeTemporary(path string, handle *keyset.Handle) (name string, err error) {
	var text bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text)); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".keyset-*") // made with 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(text.Bytes())
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}
