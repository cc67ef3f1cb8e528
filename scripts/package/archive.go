package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"time"
)

// archives are both programs of each system, in the archive that its users
// expect, within one folder.
func (r *release) archives() ([]packed, error) {
	var made []packed
	for _, s := range r.systems {
		folder := fmt.Sprintf("sallyport-%s-%s-%s", r.version, s.os, s.arch)
		var files []entry
		for _, name := range []string{agent, relay} {
			data, err := os.ReadFile(r.program(s, name))
			if err != nil {
				return nil, err
			}
			files = append(files, entry{name: path.Join(folder, filepath.Base(r.program(s, name))), mode: 0o755, data: data})
		}
		form, pack := ".tar.gz", gzipped
		if s.os == "windows" {
			form, pack = ".zip", zipped
		}
		data, err := pack(files, r.time)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
		made = append(made, packed{name: folder + form, data: data})
	}
	return made, nil
}

// entry is a file or directory within an archive.
type entry struct {
	name  string // with slashes
	mode  int64
	owner int // user and group
	data  []byte
	dir   bool
}

func tarred(entries []entry, at time.Time) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: e.name, Mode: e.mode, Uid: e.owner, Gid: e.owner,
			Size: int64(len(e.data)), ModTime: at, Format: tar.FormatPAX,
		}
		if e.dir {
			header.Typeflag, header.Name = tar.TypeDir, e.name+"/"
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func gzipped(entries []entry, at time.Time) ([]byte, error) {
	data, err := tarred(entries, at)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func zipped(entries []entry, at time.Time) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: at}
		header.SetMode(os.FileMode(e.mode))
		f, err := w.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(e.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
