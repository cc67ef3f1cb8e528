package main

import (
	"regexp"
	"strings"
)

// described takes apart what `git describe --tags --always --dirty` says: the
// release that the commit follows, a pre-release, how many commits later and
// which, and whether the tree had changes. A commit without a release before it
// is its bare hash.
var described = regexp.MustCompile(`^v?(\d+(?:\.\d+){1,2})(?:-([A-Za-z][0-9A-Za-z.]*))??(?:-(\d+)-g([0-9a-f]+))?(-dirty)?$`)

var bareHash = regexp.MustCompile(`^[0-9a-f]{7,40}$`)

// packageVersion is a version in the form that deb and rpm share, and both
// order rightly: 1.2.0~rc.1 before 1.2.0, and 1.2.0+4.gabcdef0, four commits
// later, after it.
func packageVersion(version string) string {
	m := described.FindStringSubmatch(version)
	if m == nil {
		hash, dirty := strings.CutSuffix(version, "-dirty")
		if !bareHash.MatchString(hash) {
			return "0.0.0~" + plain(version)
		}
		if dirty {
			hash += ".dirty"
		}
		return "0.0.0+g" + hash
	}
	release, pre, later, hash, dirty := m[1], m[2], m[3], m[4], m[5] != ""
	var since []string
	if later != "" {
		since = append(since, later, "g"+hash)
	}
	if dirty {
		since = append(since, "dirty")
	}
	if pre != "" {
		release += "~" + pre
	}
	if len(since) > 0 {
		release += "+" + strings.Join(since, ".")
	}
	return release
}

// plain keeps what both forms of package allow in a version.
func plain(version string) string {
	return strings.Map(func(c rune) rune {
		if c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return c
		}
		return '.'
	}, version)
}

// installerVersion is the three numbers that are all that Windows Installer
// knows of a version.
func installerVersion(version string) string {
	m := described.FindStringSubmatch(version)
	if m == nil {
		return "0.0.0"
	}
	if strings.Count(m[1], ".") == 1 {
		return m[1] + ".0"
	}
	return m[1]
}
