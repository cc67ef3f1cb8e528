package reload

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"
)

// patience bounds how long a file that keeps changing is waited for, in units of
// Options.Quiet.
const patience = 8

// watch waits for notices of the operating system that a file may have changed.
// It watches directories, not the file: editors put another file in its place,
// and where the path leads over symbolic links, as in a volume of Kubernetes,
// one of those is exchanged. What it can't watch is left to whoever looks at the
// file now and then.
type watch struct {
	file   string
	log    *zap.Logger
	system *fsnotify.Watcher // nil: the system has none left
	wake   chan struct{}
	ended  chan struct{}
	told   chan map[string]bool // full paths, a change of which concerns the file
}

func newWatch(file string, log *zap.Logger) *watch {
	w := &watch{file: file, log: log, wake: make(chan struct{}, 1), ended: make(chan struct{}), told: make(chan map[string]bool)}
	var err error
	if file != "" {
		w.system, err = fsnotify.NewWatcher()
	}
	if err != nil {
		log.Info("changes of the configuration file are seen late: this system gives no notice of them", zap.Error(err))
	}
	if w.system == nil {
		close(w.ended)
		return w
	}
	go w.read()
	w.again()
	return w
}

func (w *watch) close() {
	if w.system != nil {
		_ = w.system.Close()
	}
	<-w.ended
}

// read passes on notices that concern the file.
func (w *watch) read() {
	defer close(w.ended)
	var names map[string]bool
	for {
		select {
		case names = <-w.told:
		case e, open := <-w.system.Events:
			if !open {
				return
			}
			if names[filepath.Clean(e.Name)] {
				w.notice()
			}
		case _, open := <-w.system.Errors: // some notices were lost
			if !open {
				return
			}
			w.notice()
		}
	}
}

func (w *watch) notice() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// settle waits until there was no notice for the time quiet. It reports false
// where ctx ends before.
func (w *watch) settle(ctx context.Context, quiet time.Duration) bool {
	late := time.After(patience * quiet)
	for {
		select {
		case <-ctx.Done():
			return false
		case <-w.wake:
		case <-late:
			return true
		case <-time.After(quiet):
			return true
		}
	}
}

// again watches the directories that lead to the file now.
func (w *watch) again() {
	if w.system == nil {
		return
	}
	names := map[string]bool{}
	directories := map[string]bool{}
	for _, p := range hops(w.file) {
		names[p] = true
		directories[filepath.Dir(p)] = true
	}
	watched := map[string]bool{}
	for _, dir := range w.system.WatchList() { // without those that are gone
		if watched[dir] = directories[dir]; !directories[dir] {
			_ = w.system.Remove(dir)
		}
	}
	for dir := range directories {
		if watched[dir] {
			continue
		}
		if err := w.system.Add(dir); err != nil {
			w.log.Debug("directory not watched", zap.String("directory", dir), zap.Error(err))
		}
	}
	select {
	case w.told <- names:
	case <-w.ended:
	}
}

// hops are the paths on the way to a file, each of which leads on where it is a
// symbolic link: the file's own, and what that leads to.
func hops(file string) []string {
	const most = 40 // as Linux follows
	var out []string
	todo := []string{file}
	for len(todo) > 0 && len(out) < most {
		p := filepath.Clean(todo[0])
		todo = todo[1:]
		out = append(out, p)
		if to, ok := link(p); ok {
			todo = append(todo, to)
			continue
		}
		// A directory on the way may be a link as well.
		for dir := filepath.Dir(p); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			if to, ok := link(dir); ok {
				out = append(out, dir)
				todo = append(todo, filepath.Join(to, strings.TrimPrefix(p, dir)))
				break
			}
		}
	}
	return out
}

// link is where a symbolic link leads.
func link(p string) (to string, ok bool) {
	to, err := os.Readlink(p)
	if err != nil {
		return "", false
	}
	if !filepath.IsAbs(to) {
		to = filepath.Join(filepath.Dir(p), to)
	}
	return to, true
}
