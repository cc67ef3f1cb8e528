package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"sallyport/agent/config"
	"sallyport/agent/ledger"
)

// ledgerFlags are what the ledger command takes beside where it lies.
type ledgerFlags struct {
	follow, asJSON           bool
	last                     int
	since                    string
	host, method, connection string
	status                   string
}

func newLedger(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ledger [-f] [--since 1h] [--host NAME] [--method GET] [--status 5xx] [--connection ID]",
		Short: "Show every request that the relay sent through this agent",
		Long: "Show every request that the relay sent through this agent: when, for whom, what, and what became of it. Values of queries are hidden.\n" +
			"Without -n and --since, the last 100. It reads files of the data directory; no agent has to run.",
		Example: "  sallyport-agent ledger -f\n" +
			"  sallyport-agent ledger --since 24h --status denied\n" +
			"  sallyport-agent ledger --since 7d --host 'erp*' --status 5xx --json",
		Args: cobra.NoArgs,
	}
	dataDir := addDataDir(cmd, w)
	var f ledgerFlags
	flags := cmd.Flags()
	flags.BoolVarP(&f.follow, "follow", "f", false, "go on with what comes, until interrupted")
	flags.IntVarP(&f.last, "lines", "n", 100, "the last so many of those that match; 0: all")
	flags.StringVar(&f.since, "since", "", "no older than this, such as 90m, 24h or 7d")
	flags.StringVar(&f.host, "host", "", "to this host, with or without its port; * stands for anything")
	flags.StringVar(&f.method, "method", "", "with this method")
	flags.StringVar(&f.status, "status", "", "a status (404), a class (5xx), a code (target_timeout), or allowed, denied, paused, failed")
	flags.StringVar(&f.connection, "connection", "", "of the connection with this id")
	flags.BoolVar(&f.asJSON, "json", false, "print the entries as they are, one JSON object a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		dir, err := dataDir()
		if err != nil {
			return err
		}
		since, err := sinceTime(f.since, time.Now())
		if err != nil {
			return err
		}
		if f.since != "" && !cmd.Flags().Changed("lines") {
			f.last = 0
		}
		if err := f.check(); err != nil {
			return err
		}
		print := printEntry
		if f.asJSON {
			print = printLine
		}
		return showLines(cmd.Context(), shownLines{
			path: filepath.Join(dir, ledger.File), since: since, last: f.last, follow: f.follow, none: "The ledger is empty: no request has come yet.",
			take: func(line []byte) (func(), bool) {
				var e ledger.Entry
				if json.Unmarshal(line, &e) != nil || e.Time.Before(since) || !f.wants(&e) {
					return nil, false
				}
				line = append([]byte(nil), line...)
				return func() { print(w.Out, &e, line) }, true
			},
		}, w)
	}
	return cmd
}

// sinceTime is when a span before now began.
func sinceTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	age, err := config.ParseAge(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("--since: %w", err)
	}
	return now.Add(-age), nil
}

func (f *ledgerFlags) check() error {
	if _, err := path.Match(f.host, ""); err != nil {
		return fmt.Errorf("--host %q: %w", f.host, err)
	}
	if f.last < 0 {
		return errors.New("-n: a number of entries, or 0 for all")
	}
	f.host, f.method, f.status = strings.ToLower(f.host), strings.ToUpper(f.method), strings.ToLower(f.status)
	return nil
}

// wants reports whether an entry is to be shown. One that says that others are
// missing always is.
func (f *ledgerFlags) wants(e *ledger.Entry) bool {
	switch {
	case e.Missing > 0:
		return true
	case f.method != "" && e.Method != f.method:
	case f.connection != "" && e.ConnectionID != f.connection:
	case f.host != "" && !hostMatches(f.host, e.URL):
	case f.status != "" && !statusMatches(f.status, e):
	default:
		return true
	}
	return false
}

func hostMatches(pattern, url string) bool {
	_, rest, _ := strings.Cut(url, "://")
	host, _, _ := strings.Cut(rest, "/")
	host, _, _ = strings.Cut(strings.ToLower(host), "?")
	name := host
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		name = host[:i]
	}
	whole, _ := path.Match(pattern, host)
	plain, _ := path.Match(pattern, strings.Trim(name, "[]"))
	return whole || plain
}

func statusMatches(want string, e *ledger.Entry) bool {
	switch want {
	case string(ledger.Allowed), string(ledger.Denied), string(ledger.Paused):
		return string(e.Decision) == want
	case "failed":
		return e.Decision == ledger.Allowed && e.Code != ""
	}
	if len(want) == 3 && strings.HasSuffix(want, "xx") {
		return strconv.Itoa(e.Status/100) == want[:1] && e.Status > 0
	}
	return strconv.Itoa(e.Status) == want || e.Code == want
}

func printLine(out io.Writer, _ *ledger.Entry, line []byte) { fmt.Fprintf(out, "%s\n", line) }

// printEntry prints an entry for people.
func printEntry(out io.Writer, e *ledger.Entry, _ []byte) {
	at := e.Time.Local().Format("2006-01-02 15:04:05.000")
	if e.Missing > 0 {
		fmt.Fprintf(out, "%s  %s missing here: the disk did not take them\n", at, counted(e.Missing, "request"))
		return
	}
	became := strconv.Itoa(e.Status)
	if e.Status == 0 || e.Code != "" {
		became = cmp.Or(e.Code, became)
	}
	fmt.Fprintf(out, "%s  %-14s %-6s %s  %s", at, plain(became), plain(e.Method), plain(e.URL), time.Duration(e.DurationMs*float64(time.Millisecond)).Round(100*time.Microsecond))
	if e.BytesUp > 0 {
		fmt.Fprintf(out, "  up %s", humanize.IBytes(uint64(e.BytesUp)))
	}
	if e.BytesDown > 0 {
		fmt.Fprintf(out, "  down %s", humanize.IBytes(uint64(e.BytesDown)))
	}
	if e.Who != "" {
		fmt.Fprintf(out, "  for %s", plain(e.Who))
	}
	if e.ConnectionID != "" {
		fmt.Fprintf(out, "  %s", plain(e.ConnectionID))
	}
	if e.Rule != "" {
		fmt.Fprintf(out, "  [%s]", plain(e.Rule))
	}
	fmt.Fprintln(out)
}

// plain is a text from elsewhere without what a terminal would obey.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || 0x80 <= r && r <= 0x9f {
			return '?'
		}
		return r
	}, text)
}
