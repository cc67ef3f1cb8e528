package linefile

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// lookEvery is how often Follow looks for more.
const lookEvery = 250 * time.Millisecond

// longestLine is the longest line that is read, in bytes; what is longer is none
// of ours.
const longestLine = 1 << 20

// Files lists the files behind path that exist, oldest first: those that were
// set aside, and the one that is written.
func Files(path string) ([]string, error) {
	dir, name := filepath.Split(path)
	extension := filepath.Ext(name)
	prefix := strings.TrimSuffix(name, extension) + "-"
	entries, err := os.ReadDir(filepath.Clean(dir))
	if err != nil {
		return nil, err
	}
	var files []string
	current := false
	for _, e := range entries { // by name, and thereby by time
		switch n := e.Name(); {
		case n == name:
			current = true
		case strings.HasPrefix(n, prefix) && strings.HasSuffix(n, extension) && dated(n[len(prefix):]):
			files = append(files, filepath.Join(dir, n))
		}
	}
	slices.Sort(files)
	if current {
		files = append(files, path)
	}
	return files, nil
}

// dated reports whether a name goes on with the time at which the file was set
// aside.
func dated(rest string) bool {
	const layout = "2006-01-02T15-04-05.000"
	if len(rest) < len(layout) {
		return false
	}
	_, err := time.Parse(layout, rest[:len(layout)])
	return err == nil
}

// Reader reads the lines behind a path. A line is whole, and without its end.
type Reader struct {
	path  string
	since time.Time   // files that were written last before it are passed over
	seen  os.FileInfo // of the file that was read last; nil: none was
	at    int64       // what of it was read
}

// NewReader reads from the oldest file on that was written since the time.
func NewReader(path string, since time.Time) *Reader { return &Reader{path: path, since: since} }

// errMoved: the file was set aside while it was opened.
var errMoved = errors.New("file was set aside")

// Read hands each every line that there is and was not read before. No file at
// all is no error. An error of each ends it, and is returned.
func (r *Reader) Read(each func(line []byte) error) error {
	for {
		err := r.read(each)
		if !errors.Is(err, errMoved) {
			return err
		}
	}
}

func (r *Reader) read(each func([]byte) error) error {
	files, err := Files(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	infos := make([]os.FileInfo, len(files))
	begin := 0
	for i, file := range files {
		if infos[i], err = os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return errMoved
		} else if err != nil {
			return err
		}
		if r.seen != nil && os.SameFile(r.seen, infos[i]) {
			begin = i
		}
	}
	for i := begin; i < len(files); i++ {
		if r.seen == nil && infos[i].ModTime().Before(r.since) {
			continue
		}
		if r.seen == nil || !os.SameFile(r.seen, infos[i]) {
			r.seen, r.at = infos[i], 0
		}
		if err := r.readFile(files[i], each); err != nil {
			return err
		}
	}
	return nil
}

// readFile reads what has been added to the file r.seen. It is opened for that
// moment only: Windows does not let a file be set aside that is open.
func (r *Reader) readFile(path string, each func([]byte) error) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return errMoved
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !os.SameFile(info, r.seen) {
		return errMoved
	}
	if _, err := f.Seek(r.at, io.SeekStart); err != nil {
		return err
	}
	lines := bufio.NewReaderSize(f, 64<<10)
	for {
		line, err := lines.ReadSlice('\n')
		for errors.Is(err, bufio.ErrBufferFull) && len(line) < longestLine {
			line = slices.Clone(line)
			var more []byte
			more, err = lines.ReadSlice('\n')
			line = append(line, more...)
		}
		if err == io.EOF {
			return nil // a line that is not whole is read when it is
		}
		if err != nil {
			return err
		}
		r.at += int64(len(line))
		if len(line) == 1 { // ends a line that was cut by a full disk
			continue
		}
		if err := each(line[:len(line)-1]); err != nil {
			return err
		}
	}
}

// Follow hands each what is added, until ctx ends.
func (r *Reader) Follow(ctx context.Context, each func(line []byte) error) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		if err := r.Read(each); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
