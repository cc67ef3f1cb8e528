package config

import (
	"fmt"
	"math"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"sallyport/agent/linefile"
)

// LogLimits bound the log's files.
func (c Config) LogLimits() (linefile.Limits, error) {
	return limits("log", c.LogMaxSize, c.LogMaxFiles, c.LogMaxAge)
}

// LedgerLimits bound the ledger's files.
func (c Config) LedgerLimits() (linefile.Limits, error) {
	return limits("ledger", c.LedgerMaxSize, c.LedgerMaxFiles, c.LedgerMaxAge)
}

func limits(what, size, files, age string) (linefile.Limits, error) {
	var l linefile.Limits
	var err error
	if l.Size, err = limitSize(size); err != nil {
		return l, fmt.Errorf("%sMaxSize: %w", what, err)
	}
	if l.Files, err = limitFiles(files); err != nil {
		return l, fmt.Errorf("%sMaxFiles: %w", what, err)
	}
	if l.Age, err = limitAge(age); err != nil {
		return l, fmt.Errorf("%sMaxAge: %w", what, err)
	}
	return l, nil
}

func limitSize(text string) (int64, error) {
	n, err := humanize.ParseBytes(text)
	if err != nil || n < linefile.MinSize || n > math.MaxInt64 {
		return 0, fmt.Errorf("%q is not a size such as 10MiB, of 2 MiB at least", shown(text))
	}
	return int64(n), nil
}

func limitFiles(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 10_000 {
		return 0, fmt.Errorf("%q is not a number from 1 to 10000", shown(text))
	}
	return n, nil
}

func limitAge(text string) (time.Duration, error) {
	age, err := ParseAge(text)
	if err == nil && age < 24*time.Hour {
		err = fmt.Errorf("%q is less than a day", shown(text))
	}
	return age, err
}

// ParseAge reads a span as people write it: 30d, 12h, 90m.
func ParseAge(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is not a time such as 30d, 12h or 90m", text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, wrong
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, wrong
	}
	return d, nil
}

// LogPath is the log's own file; "" for none. byDefault is whether there is one
// if the configuration does not say.
func (c Config) LogPath(byDefault bool) (string, error) {
	switch {
	case c.LogFile == "none", c.LogFile == "" && !byDefault:
		return "", nil
	case c.LogFile == "":
		return filepath.Join(c.DataDir, LogName), nil
	case !filepath.IsAbs(c.LogFile):
		return "", fmt.Errorf("%q is not the whole path of a file, nor \"none\"", shown(c.LogFile))
	}
	return c.LogFile, nil
}

// LogName is the log's name within the data directory.
const LogName = "agent.log"

// StatusAddress is where /healthz and /metrics are served; "" for nowhere. They
// ask for no password, so they are for programs of this machine.
func (c Config) StatusAddress() (string, error) {
	if c.StatusListen == "" {
		return "", nil
	}
	host, _, err := net.SplitHostPort(c.StatusListen)
	if err != nil {
		return "", fmt.Errorf("%q is not an address and port such as 127.0.0.1:9131", shown(c.StatusListen))
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return "", fmt.Errorf("%q is not a loopback address, such as 127.0.0.1:9131: whoever asks there needs no password", shown(c.StatusListen))
	}
	return c.StatusListen, nil
}
