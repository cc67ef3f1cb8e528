// Package buildinfo tells which build is running. Version and commit are stamped
// by the linker:
//
//	go build -ldflags "-X sallyport/internal/buildinfo.version=1.2.3 -X sallyport/internal/buildinfo.commit=0a1b2c3"
//
// and a build without it names the commit that the Go tool recorded. Both
// binaries show it in `version`, and the agent tells the relay in its Hello.
package buildinfo

import (
	"runtime"
	"runtime/debug"
)

// Both are set by -ldflags -X; nothing else writes them.
var version, commit string

// Version is the release's version, or "dev" where none was stamped.
func Version() string {
	if version == "" {
		return "dev"
	}
	return version
}

// Commit is the revision that was built. Where none was stamped it is the one
// that the Go tool recorded, with "+dirty" where the tree had changes, or
// "unknown" where it recorded none.
func Commit() string {
	if commit != "" {
		return commit
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return recorded(info.Settings)
}

func recorded(settings []debug.BuildSetting) string {
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
