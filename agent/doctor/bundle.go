package doctor

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"sallyport/agent/config"
	"sallyport/agent/control"
	"sallyport/agent/redact"
	"sallyport/internal/buildinfo"
)

// Bounds of what a bundle takes of log files, so that it can be sent by mail.
const (
	maxLogs     = 8
	maxLogBytes = 256 << 10 // the end of each
)

// BundleOptions say what goes into a bundle. All are required.
type BundleOptions struct {
	Report   Report
	Examined Options // of the examination that made the report
	Env      func(string) (string, bool)
}

// entry is one file of a bundle.
type entry struct{ name, text string }

// WriteBundle writes a zip of diagnostics for whoever helps the site's admin.
// Only its owner can read it, and a file that exists is not written over. It
// holds no key, token, cookie or password: what is put in was chosen for that,
// and every file of it goes through a scrubber besides.
func WriteBundle(ctx context.Context, path string, o BundleOptions) error {
	s := redact.New(o.Examined.Config, o.Env)
	entries, err := collect(ctx, o)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: name another file for the bundle, or remove it", path)
	}
	if err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	archive := zip.NewWriter(file)
	for _, en := range entries {
		var w io.Writer
		w, err = archive.CreateHeader(&zip.FileHeader{Name: en.name, Method: zip.Deflate, Modified: o.Report.StartedAt})
		if err == nil {
			_, err = io.WriteString(w, s.Scrub(en.text))
		}
		if err != nil {
			break
		}
	}
	for _, finish := range []func() error{archive.Close, file.Close} {
		if e := finish(); err == nil {
			err = e
		}
	}
	if err != nil {
		_ = os.Remove(path)
		return fmt.Errorf("write the bundle: %w", err)
	}
	return nil
}

// collect makes the bundle's files. What can't be had is said in its place.
func collect(ctx context.Context, o BundleOptions) ([]entry, error) {
	report, err := json.MarshalIndent(o.Report, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the bundle: %w", err)
	}
	c := o.Examined.Config
	request, err := FirewallRequest(ctx, o.Examined)
	entries := []entry{
		{"report.txt", o.Report.Text()},
		{"report.json", string(report) + "\n"},
		{"firewall-request.txt", orError(request, err)},
		{"system.txt", systemText()},
		{"environment.txt", environmentText(o.Env)},
		{"network.txt", networkText(ctx)},
	}
	if c.DataDir != "" {
		entries = append(entries, entry{"status.json", statusText(ctx, c.DataDir)})
	}
	if o.Examined.ConfigFile != "" {
		entries = append(entries, entry{"agent.yaml", redactedConfig(o.Examined.ConfigFile)})
	}
	if text, err := os.ReadFile("/etc/resolv.conf"); err == nil {
		entries = append(entries, entry{"resolv.conf", string(text)})
	}
	return append(entries, logEntries(c.DataDir)...), nil
}

func orError(text string, err error) string {
	if err != nil {
		return "not there: " + err.Error() + "\n"
	}
	return text
}

// statusText is what the running agent says of itself.
func statusText(ctx context.Context, dir string) string {
	status, err := control.Ask(ctx, dir)
	if err != nil {
		status.State, status.LastError = "not_running", err.Error()
	}
	text, _ := json.MarshalIndent(status, "", "  ") // plain fields can't fail
	return string(text) + "\n"
}

func systemText() string {
	now := time.Now()
	return fmt.Sprintf("version   %s\ncommit    %s\nbuilt by  %s\nsystem    %s/%s, %d processors\nhost      %s\ntime      %s\nUTC       %s\n",
		buildinfo.Version(), buildinfo.Commit(), buildinfo.Go(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(),
		hostname(), now.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
}

func environmentText(env func(string) (string, bool)) string {
	var b strings.Builder
	for _, name := range redact.Variables() {
		value, ok := env(name)
		switch {
		case !ok:
			continue
		case redact.IsSecret(name):
			value = redact.Hidden
		}
		fmt.Fprintf(&b, "%s=%s\n", name, value)
	}
	if b.Len() == 0 {
		return "None of the variables that matter is set.\n"
	}
	return b.String()
}

// redactedConfig is agent.yaml: known keys with their values, secrets hidden.
// Comments and unknown keys are left out, since anything may stand there.
func redactedConfig(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return orError("", err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		return "# It can't be read as YAML, so nothing of it is shown.\n"
	}
	var b strings.Builder
	known := map[string]bool{}
	for _, o := range config.Options() {
		known[o.Key] = true
		value, ok := values[o.Key]
		if !ok {
			continue
		}
		if redact.IsSecret(o.Key) {
			value = redact.Hidden
		}
		fmt.Fprintf(&b, "%s: %v\n", o.Key, value)
	}
	for key := range values {
		if !known[key] {
			fmt.Fprintf(&b, "# and a key that the agent does not know\n")
		}
	}
	return b.String()
}

// logEntries are the ends of the log files in the data directory.
func logEntries(dir string) []entry {
	if dir == "" {
		return nil
	}
	var found []string
	for _, pattern := range []string{"*.log", "logs/*.log", "log/*.log"} {
		some, _ := filepath.Glob(filepath.Join(dir, pattern)) // the pattern is well-formed
		found = append(found, some...)
	}
	slices.SortFunc(found, func(a, b string) int { return modified(b).Compare(modified(a)) })
	var entries []entry
	for _, path := range found[:min(len(found), maxLogs)] {
		text, err := tail(path, maxLogBytes)
		entries = append(entries, entry{"logs/" + filepath.Base(path), orError(text, err)})
	}
	return entries
}

func modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// tail is the end of a file, from the beginning of a line on.
func tail(path string, limit int64) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	if over := info.Size() - limit; over > 0 {
		if _, err := file.Seek(over, io.SeekStart); err != nil {
			return "", err
		}
	}
	text, err := io.ReadAll(io.LimitReader(file, limit))
	if info.Size() > limit {
		_, after, _ := strings.Cut(string(text), "\n")
		return after, err
	}
	return string(text), err
}
