package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"time"
)

// packed is a finished archive.
type packed struct {
	name string
	data []byte
}

// epoch is the time of every file in an archive, so that archives of the same
// content are the same. It is the earliest that a zip can express.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// pack puts files into the archive that the system's users expect, within one
// folder of the given name.
func pack(s system, name string, files []string) (packed, error) {
	if s.os == "windows" {
		data, err := zipped(name, files)
		return packed{name + ".zip", data}, err
	}
	data, err := tarred(name, files)
	return packed{name + ".tar.gz", data}, err
}

func tarred(folder string, files []string) ([]byte, error) {
	var out bytes.Buffer
	gz := gzip.NewWriter(&out)
	w := tar.NewWriter(gz)
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		header := &tar.Header{
			Name: folder + "/" + filepath.Base(path), Mode: 0o755,
			Size: int64(len(data)), ModTime: epoch, Format: tar.FormatPAX,
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if err := gz.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func zipped(folder string, files []string) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		header := &zip.FileHeader{Name: folder + "/" + filepath.Base(path), Method: zip.Deflate, Modified: epoch}
		header.SetMode(0o755)
		f, err := w.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
