package config

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/agent/linefile"
)

func TestLimitsOfFiles(t *testing.T) {
	c := Defaults()
	got, err := c.LogLimits()
	if want := (linefile.Limits{Size: 10 << 20, Files: 5, Age: 30 * 24 * time.Hour}); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := c.LedgerLimits(); err != nil {
		t.Error(err)
	}
	for change, want := range map[string]func(*Config){
		"ledgerMaxSize: \"big\"": func(c *Config) { c.LedgerMaxSize = "big" },
		"ledgerMaxFiles: \"-\"":  func(c *Config) { c.LedgerMaxFiles = "-" },
		"ledgerMaxAge: \"soon\"": func(c *Config) { c.LedgerMaxAge = "soon" },
		"of 2 MiB at least":      func(c *Config) { c.LedgerMaxSize = "1KB" },
		"less than a day":        func(c *Config) { c.LedgerMaxAge = "1h" },
	} {
		c := Defaults()
		want(&c)
		if _, err := c.LedgerLimits(); err == nil || !strings.Contains(err.Error(), change) {
			t.Errorf("error %v, want %q", err, change)
		}
	}
}

func TestAges(t *testing.T) {
	for text, want := range map[string]time.Duration{"30d": 720 * time.Hour, "0d": 0, "90m": 90 * time.Minute} {
		if got, err := ParseAge(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "-1d", "-1h", "1.5d", "5", "99999999d"} {
		if got, err := ParseAge(text); err == nil {
			t.Errorf("%q was taken for %v", text, got)
		}
	}
}

func TestWhereTheLogIsKept(t *testing.T) {
	own := "/var/log/own.log"
	if runtime.GOOS == "windows" {
		own = `C:\own.log`
	}
	for _, c := range []struct {
		set       string
		byDefault bool
		want      string
	}{{"", false, ""}, {"", true, filepath.Join("data", LogName)}, {"none", true, ""}, {own, false, own}} {
		if got, err := (Config{DataDir: "data", LogFile: c.set}).LogPath(c.byDefault); err != nil || got != c.want {
			t.Errorf("%+v: got %q, %v", c, got, err)
		}
	}
	if _, err := (Config{LogFile: "agent.log"}).LogPath(false); err == nil {
		t.Error("a relative path was taken")
	}
}

func TestStatusIsForThisMachineOnly(t *testing.T) {
	for _, good := range []string{"", "127.0.0.1:9131", "[::1]:0", "127.9.9.9:1"} {
		if got, err := (Config{StatusListen: good}).StatusAddress(); err != nil || got != good {
			t.Errorf("%q: %q, %v", good, got, err)
		}
	}
	for _, bad := range []string{":9131", "0.0.0.0:9131", "localhost:9131", "192.0.2.1:9131", "[::]:1", "127.0.0.1", "9131"} {
		if _, err := (Config{StatusListen: bad}).StatusAddress(); err == nil {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
