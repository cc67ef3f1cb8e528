package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"time"
)

//go:embed assets
var assetFiles embed.FS

//go:embed templates
var templateFiles embed.FS

// assets are the style sheet, modules and pictures, served below one
// fingerprint of them all: modules import each other by relative names, and
// a page never mixes the files of two releases.
type assets struct {
	fingerprint string
	files       map[string]asset
}

type asset struct {
	content     []byte
	contentType string
}

func loadAssets(from fs.FS) (*assets, error) {
	a := &assets{files: map[string]asset{}}
	sum := sha256.New()
	err := fs.WalkDir(from, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		base := path.Base(name)
		contentType := contentTypeOf(base)
		if contentType == "" {
			return fmt.Errorf("asset %s: unknown kind of file", name)
		}
		// WalkDir goes in lexical order, so the sum is the same each time.
		fmt.Fprintf(sum, "%s %d\n", base, len(content))
		sum.Write(content)
		a.files[base] = asset{content: content, contentType: contentType}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load assets: %w", err)
	}
	a.fingerprint = hex.EncodeToString(sum.Sum(nil))[:16]
	return a, nil
}

// contentTypeOf does not ask the operating system, whose tables differ.
func contentTypeOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return mime.FormatMediaType("image/svg+xml", nil)
	}
	return ""
}

// path is where a browser finds the named asset; unknown names are an error,
// which fails the template that asks.
func (a *assets) path(name string) (string, error) {
	if _, ok := a.files[name]; !ok {
		return "", fmt.Errorf("no asset named %q", name)
	}
	return "/assets/" + a.fingerprint + "/" + name, nil
}

func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	file, ok := a.files[r.PathValue("name")]
	if !ok || r.PathValue("fingerprint") != a.fingerprint {
		// An old page asks for old files: it must not cache today's under yesterday's name.
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", file.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file.content))
}
