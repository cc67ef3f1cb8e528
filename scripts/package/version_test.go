package main

import "testing"

func TestVersionsOfGitAreThoseOfPackages(t *testing.T) {
	for _, c := range []struct{ git, deb, msi string }{
		{"v1.2.3", "1.2.3", "1.2.3"},
		{"1.2", "1.2", "1.2.0"},
		{"v1.2.3-dirty", "1.2.3+dirty", "1.2.3"},
		{"v1.2.3-4-g0a1b2c3", "1.2.3+4.g0a1b2c3", "1.2.3"},
		{"v1.2.3-4-g0a1b2c3-dirty", "1.2.3+4.g0a1b2c3.dirty", "1.2.3"},
		{"v1.2.3-rc.1", "1.2.3~rc.1", "1.2.3"},
		{"v1.2.3-rc.1-4-g0a1b2c3", "1.2.3~rc.1+4.g0a1b2c3", "1.2.3"},
		{"0a1b2c3", "0.0.0+g0a1b2c3", "0.0.0"},
		{"1234567-dirty", "0.0.0+g1234567.dirty", "0.0.0"},
		{"0.0.0-dev", "0.0.0~dev", "0.0.0"},
		{"nightly/2026-01-31", "0.0.0~nightly.2026.01.31", "0.0.0"},
	} {
		if got := packageVersion(c.git); got != c.deb {
			t.Errorf("%s: %s, want %s", c.git, got, c.deb)
		}
		if got := installerVersion(c.git); got != c.msi {
			t.Errorf("%s: MSI %s, want %s", c.git, got, c.msi)
		}
	}
}
