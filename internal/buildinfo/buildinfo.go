// Package buildinfo tells which build is running. The version is stamped by the
// linker:
//
//	go build -ldflags "-X sallyport/internal/buildinfo.version=1.2.3"
//
// and a build without it names the commit that the Go tool recorded. Both
// binaries show it in `version`, and the agent tells the relay in its Hello.
package buildinfo

import (
	"runtime"
	"runtime/debug"
)

// version is set by -ldflags -X; nothing else writes it.
var version string

// Version is the release's version, or "dev" where none was stamped.
func Version() string {
	if version == "" {
		return "dev"
	}
	return version
}

// Commit is the revision that was built, with "+dirty" where the tree had
// changes, or "unknown" where the Go tool recorded none.
func Commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return commit(info.Settings)
}

func commit(settings []debug.BuildSetting) string {
	revision, dirty := "", false
	for _, s := range settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			dirty = s.Value == "true"
		}
	}
	if revision == "" {
		return "unknown"
	}
	if dirty {
		return revision + "+dirty"
	}
	return revision
}

// Go is the Go release that compiled the binary, for example "go1.26".
func Go() string { return runtime.Version() }
