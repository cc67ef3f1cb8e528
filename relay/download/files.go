package download

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"regexp"
	"strings"

	"go.uber.org/zap"
)

// sumsName is the list of what is offered, as sha256sum writes it.
const sumsName = "SHA256SUMS"

// sumsSize bounds that list: a hundred files and more.
const sumsSize = 64 << 10

// file is one of those that are offered.
type file struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // hexadecimal
}

// fileName is what a name may be: one path element that means the same in URLs,
// shells and on every system.
var fileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`)

var hexSum = regexp.MustCompile(`^[0-9a-f]{64}$`)

// errNothing: the directory is absent, or offers nothing.
var errNothing = errors.New("nothing to download")

// files are those that the list names and that are there, in its order.
func (s *Shelf) files() ([]file, error) {
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNothing, err)
	}
	defer root.Close()
	list, err := root.Open(sumsName)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNothing, err)
	}
	defer list.Close()
	text, err := io.ReadAll(io.LimitReader(list, sumsSize))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", sumsName, err)
	}
	var found []file
	for line := range strings.Lines(string(text)) {
		sum, name, ok := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		name = strings.TrimPrefix(strings.TrimPrefix(name, " "), "*") // "*": read as binary
		if !ok || !hexSum.MatchString(sum) || !fileName.MatchString(name) {
			continue
		}
		if info, err := root.Stat(name); err == nil && info.Mode().IsRegular() {
			found = append(found, file{Name: name, Size: info.Size(), SHA256: sum})
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: %s names no file that is there", errNothing, sumsName)
	}
	return found, nil
}

// file serves one that is listed, whole or in part.
func (s *Shelf) file(w http.ResponseWriter, r *http.Request) {
	files, err := s.files()
	if err != nil {
		s.nothing(w, err)
		return
	}
	name := r.PathValue("name")
	if name == sumsName {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
		s.send(w, r, sumsName)
		return
	}
	for _, f := range files {
		if f.Name != name {
			continue
		}
		sum, _ := hex.DecodeString(f.SHA256) // hexSum has matched it
		h := w.Header()
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Disposition", `attachment; filename="`+f.Name+`"`)
		h.Set("ETag", `"`+f.SHA256+`"`)
		// RFC 9530: of the whole file, also where a part is asked for.
		h.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum)+":")
		// Kept, but asked about each time: with the next release, the same name
		// is another file.
		h.Set("Cache-Control", "no-cache")
		s.send(w, r, f.Name)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	http.Error(w, "There is no such download. What there is, is listed at "+s.PublicURL.String()+FilesPath, http.StatusNotFound)
}

// send answers with a file of the directory, and of no other.
func (s *Shelf) send(w http.ResponseWriter, r *http.Request, name string) {
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		s.nothing(w, err)
		return
	}
	defer root.Close()
	f, err := root.Open(name)
	if err != nil {
		s.nothing(w, err)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		s.nothing(w, err)
		return
	}
	http.ServeContent(w, r, name, info.ModTime(), f)
}

// nothing says that there are no downloads, and what whoever runs the relay has
// to do. Where the directory is, only the log tells.
func (s *Shelf) nothing(w http.ResponseWriter, err error) {
	if !errors.Is(err, errNothing) && !errors.Is(err, fs.ErrNotExist) {
		s.Log.Error("downloads can't be read", zap.String("directory", s.Dir), zap.Error(err))
	} else {
		s.Log.Warn("nothing to download", zap.String("directory", s.Dir), zap.Error(err))
	}
	h := w.Header()
	for _, name := range []string{"ETag", "Repr-Digest", "Content-Disposition"} {
		h.Del(name)
	}
	h.Set("Cache-Control", "no-store")
	http.Error(w, "This relay has no agents to download yet. Whoever runs it: `make package` makes a directory\n"+
		"dist/downloads; copy it to where the relay runs, name it with --downloads (SALLYPORT_DOWNLOADS),\n"+
		"or install the package sallyport-relay-downloads.", http.StatusNotFound)
}
