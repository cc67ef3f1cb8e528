// Package download serves what installs agents, to machines that have nothing
// yet and so without a login: the two install scripts, with this relay's
// address in them, and the agent's programs from the downloads directory, which
// `make package` fills. Everything comes from the relay, so that a site that
// reaches the relay and nothing else can install an agent.
//
// It serves the files that the directory's SHA256SUMS names, and no others. It
// knows nothing of agents, codes or accounts; package registry asks it, through
// package cli, which systems can be served.
package download

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"go.uber.org/zap"
)

// The paths that are served.
const (
	ShellPath      = "/install.sh"
	PowerShellPath = "/install.ps1"
	FilesPath      = "/downloads/"
)

// Options of a Shelf.
type Options struct {
	Dir       string   // the downloads directory; need not exist
	PublicURL *url.URL // at which agents reach the relay
	Log       *zap.Logger
}

// Shelf is what a relay has to offer. The directory is read anew for each
// request: it may be filled, or replaced by that of a newer release, at any
// time.
type Shelf struct {
	Options
	mux *http.ServeMux
}

// New makes a Shelf, which is an http.Handler for what Serves reports.
func New(o Options) *Shelf {
	s := &Shelf{Options: o, mux: http.NewServeMux()}
	s.mux.HandleFunc("GET "+ShellPath, s.script(shellScript, shQuoted, "text/x-shellscript; charset=utf-8"))
	// As text/plain, so that PowerShell takes it for text and not for bytes.
	s.mux.HandleFunc("GET "+PowerShellPath, s.script(powerShellScript, powerShellQuoted, "text/plain; charset=utf-8"))
	s.mux.HandleFunc("GET "+FilesPath+"{$}", s.list)
	s.mux.HandleFunc("GET "+FilesPath+"{name}", s.file)
	return s
}

// ServeHTTP implements http.Handler.
func (s *Shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Serves reports whether a path is this room's.
func Serves(path string) bool {
	return path == ShellPath || path == PowerShellPath || path == strings.TrimSuffix(FilesPath, "/") || strings.HasPrefix(path, FilesPath)
}

// Systems are those that an agent can be installed on from here.
type Systems struct{ Linux, Windows, MacOS, Docker bool }

// Systems looks at what is there now.
func (s *Shelf) Systems() Systems {
	var found Systems
	files, err := s.files()
	if err != nil {
		return found
	}
	for _, f := range files {
		for prefix, system := range map[string]*bool{
			"sallyport-agent-linux-": &found.Linux, "sallyport-agent-windows-": &found.Windows,
			"sallyport-agent-darwin-": &found.MacOS, "sallyport-agent-image-": &found.Docker,
		} {
			*system = *system || strings.HasPrefix(f.Name, prefix)
		}
	}
	return found
}

// Find is the downloads directory where none was named: in the data directory,
// beside the relay's program, or where the system's packages put it. Where there
// is none, it is the first of these.
func Find(data string) string {
	places := []string{filepath.Join(data, "downloads")}
	if program, err := os.Executable(); err == nil {
		dir := filepath.Dir(program)
		places = append(places, filepath.Join(dir, "downloads"), filepath.Join(dir, "..", "share", "sallyport-relay", "downloads"))
	}
	for _, dir := range places {
		if _, err := os.Stat(filepath.Join(dir, sumsName)); err == nil {
			return dir
		}
	}
	return places[0]
}
