package buildinfo

import (
	"runtime/debug"
	"testing"
)

func TestVersionIsNeverEmpty(t *testing.T) {
	if Version() == "" || Commit() == "" || Go() == "" {
		t.Errorf("Version %q, Commit %q, Go %q: none may be empty", Version(), Commit(), Go())
	}
}

func TestCommitMarksATreeWithChanges(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings []debug.BuildSetting
		want     string
	}{
		{"clean", []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "false"}}, "abc"},
		{"changed", []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}}, "abc+dirty"},
		{"no version control", nil, "unknown"},
	} {
		if got := recorded(c.settings); got != c.want {
			t.Errorf("%s: commit = %q, want %q", c.name, got, c.want)
		}
	}
}
