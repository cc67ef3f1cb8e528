package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap/zapcore"

	"sallyport/agent/config"
	"sallyport/agent/control"
	"sallyport/agent/logs"
	"sallyport/internal/logging"
)

func newLogs(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "logs [-f] [-n 100] [--level warn]",
		Short: "Show the agent's log, from its file or from the journal",
		Long: "Show the agent's log: from its file, or, where it has none, from the journal of systemd.\n" +
			"`sallyport-agent logs level` shows and changes what is logged.",
		Args: cobra.NoArgs,
	}
	sources := addSources(cmd, w, "data")
	flags := cmd.Flags()
	follow := flags.BoolP("follow", "f", false, "go on with what comes, until interrupted")
	last := flags.IntP("lines", "n", 100, "the last so many; 0: all")
	level := flags.String("level", "debug", "no less than this: debug, info, warn or error")
	asJSON := flags.Bool("json", false, "print the lines as they are, one JSON object a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := w.loadForLog(sources())
		if err != nil {
			return err
		}
		least, err := logging.ParseLevel(*level)
		if err != nil {
			return err
		}
		if *last < 0 {
			return errors.New("-n: a number of lines, or 0 for all")
		}
		take := func(line []byte) (func(), bool) {
			l, ok := parseLine(line)
			if !ok || l.level < least {
				return nil, false
			}
			text := string(line)
			if !*asJSON {
				text = l.text
			}
			return func() { fmt.Fprintln(w.Out, text) }, true
		}
		path, err := logFile(c)
		if err != nil {
			return err
		}
		if path == "" {
			return w.showJournal(cmd, c, journalLines{follow: *follow, last: *last, take: take})
		}
		return showLines(cmd.Context(), shownLines{path: path, last: *last, follow: *follow, take: take, none: "The log is empty: " + path}, w)
	}
	cmd.AddCommand(newLogLevel(w))
	return cmd
}

// loadForLog is loadFrom for who wants to know what is wrong, a faulty agent.yaml
// perhaps: the log is then looked for in its usual place.
func (w World) loadForLog(s config.Sources) (config.Config, error) {
	c, err := loadFrom(s)
	if err == nil || errors.Is(err, fs.ErrPermission) {
		return c, err
	}
	dir, dirErr := s.DataDir()
	if dirErr == nil {
		dir, dirErr = absolute(dir)
	}
	if dirErr != nil {
		return c, err
	}
	fmt.Fprintf(w.Err, "The configuration is faulty, so this is the log in its usual place:\n%v\n", err)
	c = config.Defaults()
	c.DataDir = dir
	return c, nil
}

// logFile is the log's file, if there is one: the one that agent.yaml names, or
// that of a service whose output nobody else keeps.
func logFile(c config.Config) (string, error) {
	path, err := c.LogPath(true)
	if err != nil || c.LogFile != "" || path == "" {
		return path, err
	}
	if _, err := os.Stat(path); err != nil && !errors.Is(err, os.ErrPermission) {
		return "", nil
	}
	return path, nil
}

// logLine is a line of the log, for people.
type logLine struct {
	level zapcore.Level
	text  string
}

// parseLine reads a line in JSON. What is none, such as the last words of a
// program that broke, counts as an error.
func parseLine(line []byte) (logLine, bool) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		text := strings.TrimSpace(string(line))
		return logLine{zapcore.ErrorLevel, plain(text)}, text != ""
	}
	word := func(name string) string {
		var text string
		_ = json.Unmarshal(fields[name], &text) // else it is not shown
		delete(fields, name)
		return text
	}
	level, err := logging.ParseLevel(word("level"))
	if err != nil {
		level = zapcore.ErrorLevel
	}
	var b strings.Builder
	at := word("time")
	if t, err := time.Parse(time.RFC3339, at); err == nil {
		at = t.Local().Format("2006-01-02 15:04:05.000")
	}
	fmt.Fprintf(&b, "%s  %-5s", at, level.CapitalString())
	if logger := word("logger"); logger != "" {
		b.WriteString("  " + logger)
	}
	b.WriteString("  " + word("msg"))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(&b, "  %s=%s", name, fields[name])
	}
	return logLine{level, plain(b.String())}, true
}

func newLogLevel(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "level [debug|info|warn|error] [--for 10m]",
		Short: "Show or change what the running agent logs",
		Long:  "Show or change what the running agent logs: until it is restarted, or with --for for so long. logLevel in agent.yaml stays as it is.",
		Args:  cobra.MaximumNArgs(1),
	}
	dataDir := addDataDir(cmd, w)
	lasts := cmd.Flags().Duration("for", 0, "go back to the configured level after so long, such as 10m")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir, err := dataDir()
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("for") && *lasts < time.Second {
			return errors.New("--for: a level lasts for a second at least, such as 10m")
		}
		asked := levelAsked{LastsMs: lasts.Milliseconds()}
		if len(args) == 1 {
			asked.Level = args[0]
		}
		if asked.Level == "" && *lasts != 0 {
			return errors.New("--for: which level? Such as: sallyport-agent logs level debug --for 10m")
		}
		var level logs.Level
		if err := control.Tell(cmd.Context(), dir, "/log-level", asked, &level); err != nil {
			return permitted(err)
		}
		printLevel(w.Out, level)
		return nil
	}
	return cmd
}

func printLevel(out io.Writer, l logs.Level) {
	switch {
	case !l.Until.IsZero():
		fmt.Fprintf(out, "%s until %s, then %s again\n", l.Level, l.Until.Local().Format("2006-01-02 15:04:05"), l.Configured)
	case l.Level != l.Configured:
		fmt.Fprintf(out, "%s until the agent is restarted; agent.yaml says %s\n", l.Level, l.Configured)
	default:
		fmt.Fprintln(out, l.Level)
	}
}
