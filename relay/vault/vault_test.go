package vault

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

const row = "connections/con_1/secrets"

func open(t *testing.T, path string) *Vault {
	t.Helper()
	v, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func seal(t *testing.T, v *Vault, plain, ad string) []byte {
	t.Helper()
	sealed, err := v.Seal([]byte(plain), ad)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestWhatIsSealedOpensAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "keyset.json")
	sealed := seal(t, open(t, path), "hunter2", row)
	if bytes.Contains(sealed, []byte("hunter2")) {
		t.Error("the sealed value shows the secret")
	}
	plain, err := open(t, path).Open(sealed, row)
	if err != nil || string(plain) != "hunter2" {
		t.Errorf("got %q, %v", plain, err)
	}
}

func TestASealedValueOpensOnlyWhereItBelongs(t *testing.T) {
	dir := t.TempDir()
	v := open(t, filepath.Join(dir, "a"))
	sealed := seal(t, v, "hunter2", row)
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	cases := []struct {
		name   string
		vault  *Vault
		sealed []byte
		ad     string
	}{
		{"another row", v, sealed, "connections/con_2/secrets"},
		{"no row", v, sealed, ""},
		{"changed", v, changed, row},
		{"cut", v, sealed[:len(sealed)-1], row},
		{"empty", v, nil, row},
		{"another keyset", open(t, filepath.Join(dir, "b")), sealed, row},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			plain, err := c.vault.Open(c.sealed, c.ad)
			if !errors.Is(err, ErrSealed) || plain != nil {
				t.Errorf("got %q, %v", plain, err)
			}
		})
	}
}

func TestRotationKeepsOldValuesReadable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyset.json")
	v := open(t, path)
	old := seal(t, v, "old", row)
	if err := v.Rotate(); err != nil {
		t.Fatal(err)
	}
	fresh := seal(t, v, "new", row)
	// Bytes 1 to 4 of a Tink ciphertext name its key.
	if bytes.Equal(old[:5], fresh[:5]) {
		t.Error("the new value was sealed by the old key")
	}
	for _, v := range []*Vault{v, open(t, path)} {
		for want, sealed := range map[string][]byte{"old": old, "new": fresh} {
			if got, err := v.Open(sealed, row); err != nil || string(got) != want {
				t.Errorf("%s: got %q, %v", want, got, err)
			}
		}
	}
	if rights(t, path) != 0o600 {
		t.Errorf("rights %o", rights(t, path))
	}
}

func TestAnAbsentKeysetIsMadeOnlyWhenThatIsMeant(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyset.json")
	if _, err := OpenExisting(path); !errors.Is(err, ErrAbsent) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a keyset was made")
	}
	open(t, path)
	if _, err := OpenExisting(path); err != nil {
		t.Error(err)
	}
	if rights(t, path) != 0o600 {
		t.Errorf("rights %o", rights(t, path))
	}
}

func TestADamagedKeysetIsNotReplaced(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "not JSON": "hunter2", "no keys": `{"primaryKeyId":1,"key":[]}`} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keyset.json")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(path); !errors.Is(err, ErrDamaged) {
				t.Errorf("got %v", err)
			}
			if now, err := os.ReadFile(path); err != nil || string(now) != text {
				t.Errorf("the file is now %q, %v", now, err)
			}
		})
	}
}

func TestAKeysetThatOthersMayReadIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows keeps rights in lists")
	}
	path := filepath.Join(t.TempDir(), "keyset.json")
	open(t, path)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrExposed) {
		t.Errorf("got %v", err)
	}
}

func TestProcessesThatStartAtOnceGetOneKeyset(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyset.json")
	vaults := make([]*Vault, 8)
	var wg sync.WaitGroup
	for i := range vaults {
		wg.Go(func() {
			v, err := Open(path)
			if err != nil {
				t.Error(err)
			}
			vaults[i] = v
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	sealed := seal(t, vaults[0], "hunter2", row)
	for i, v := range vaults {
		if _, err := v.Open(sealed, row); err != nil {
			t.Errorf("vault %d: %v", i, err)
		}
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("files left: %v, %v", left, err)
	}
}

func rights(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}
