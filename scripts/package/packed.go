package main

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// packed is a finished file of a release.
type packed struct {
	name string // with slashes, below the folder of the release
	data []byte
	runs bool // it is a program
}

func (f packed) mode() fs.FileMode {
	if f.runs {
		return 0o755
	}
	return 0o644
}

// sumsName is the list of SHA-256 sums, in the form that sha256sum -c checks.
const sumsName = "SHA256SUMS"

func sums(files []packed) packed {
	sorted := slices.SortedFunc(slices.Values(files), func(a, b packed) int { return cmp.Compare(a.name, b.name) })
	var text bytes.Buffer
	for _, f := range sorted {
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(f.data), f.name)
	}
	return packed{name: sumsName, data: text.Bytes()}
}

// clear removes from a folder what an earlier release has left there, which
// its sums name, so that old files do not lie beside new ones. Whatever else is
// there stays.
func clear(out string) error {
	for _, dir := range []string{out, filepath.Join(out, downloadsFolder)} {
		list, err := os.ReadFile(filepath.Join(dir, sumsName))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for lines := bufio.NewScanner(bytes.NewReader(list)); lines.Scan(); {
			_, name, ok := strings.Cut(lines.Text(), "  ")
			if !ok || !filepath.IsLocal(name) {
				continue
			}
			if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
