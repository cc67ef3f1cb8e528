// Package vault seals secrets before they are stored, and opens them again. A
// sealed value is bound to its associated data, the id of the row that holds
// it: moved to another row, it does not open.
//
// Packages registry and cli call it. It knows nothing of what it seals, writes
// no log, and never stores anything but its own keyset file.
package vault

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// What callers decide by.
var (
	// ErrAbsent: there is no keyset file.
	ErrAbsent = errors.New("the encryption keyset is absent")
	// ErrDamaged: the keyset file can't be read as one.
	ErrDamaged = errors.New("the encryption keyset is damaged")
	// ErrExposed: others than its owner may read the keyset file.
	ErrExposed = errors.New("the encryption keyset can be read by others")
	// ErrSealed: the value was sealed by another keyset or for another row, or
	// it was changed.
	ErrSealed = errors.New("the sealed value does not open with this keyset")
)

// Vault seals and opens with the keys of one keyset file.
type Vault struct {
	path string

	mu     sync.RWMutex // guards the following
	handle *keyset.Handle
	aead   tink.AEAD
}

// Open reads the keyset file at path, or makes one, readable by its owner
// only. Where the database already holds sealed rows a fresh keyset would only
// hide that the old one is lost: call OpenExisting then.
func Open(path string) (*Vault, error) {
	v, err := OpenExisting(path)
	if !errors.Is(err, ErrAbsent) {
		return v, err
	}
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make an encryption keyset: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make an encryption keyset: %w", err)
	}
	err = writeNew(path, handle)
	if errors.Is(err, fs.ErrExist) {
		return OpenExisting(path) // another process was faster: its keyset holds
	}
	if err != nil {
		return nil, fmt.Errorf("make an encryption keyset: %w", err)
	}
	return with(path, handle)
}

// OpenExisting reads the keyset file at path, and never makes one.
func OpenExisting(path string) (*Vault, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s does not exist; restore it from a backup", ErrAbsent, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the encryption keyset: %w", err)
	}
	// Windows keeps rights in lists, not in these bits.
	if rights := info.Mode().Perm(); runtime.GOOS != "windows" && rights&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has rights %04o; run: chmod 600 %s", ErrExposed, path, rights, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the encryption keyset: %w", err)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text)))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w; restore it from a backup", ErrDamaged, path, err)
	}
	return with(path, handle)
}

func with(path string, handle *keyset.Handle) (*Vault, error) {
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
	}
	return &Vault{path: path, handle: handle, aead: primitive}, nil
}

// Seal encrypts plain with the newest key, bound to the associated data ad.
func (v *Vault) Seal(plain []byte, ad string) ([]byte, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	sealed, err := v.aead.Encrypt(plain, []byte(ad))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", ad, err)
	}
	return sealed, nil
}

// Open decrypts what Seal made for the same associated data, by whichever key
// of the keyset. ErrSealed where that is not so.
func (v *Vault) Open(sealed []byte, ad string) ([]byte, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	plain, err := v.aead.Decrypt(sealed, []byte(ad))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w: %w", ad, ErrSealed, err)
	}
	return plain, nil
}

// Rotate adds a key and seals with it from now on. The old keys stay, so what
// they sealed still opens.
func (v *Vault) Rotate() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	keys := keyset.NewManagerFromHandle(v.handle)
	id, err := keys.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return fmt.Errorf("rotate the encryption keyset: %w", err)
	}
	if err := keys.SetPrimary(id); err != nil {
		return fmt.Errorf("rotate the encryption keyset: %w", err)
	}
	handle, err := keys.Handle()
	if err != nil {
		return fmt.Errorf("rotate the encryption keyset: %w", err)
	}
	next, err := with(v.path, handle)
	if err != nil {
		return err
	}
	// The file first: what no file can open must never be stored.
	if err := replace(v.path, handle); err != nil {
		return fmt.Errorf("rotate the encryption keyset: %w", err)
	}
	v.handle, v.aead = next.handle, next.aead
	return nil
}
