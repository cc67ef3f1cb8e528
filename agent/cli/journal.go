package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"sallyport/agent/config"
)

// journalLines are lines of the journal that are shown.
type journalLines struct {
	follow bool
	last   int // so many of those that are wanted; 0: all
	// take returns what prints a line, if it is wanted.
	take func(line []byte) (print func(), wanted bool)
}

// showJournal shows what systemd keeps of the service whose agent has the data
// directory: its log, and what systemd itself says of it.
func (w World) showJournal(cmd *cobra.Command, c config.Config, lines journalLines) error {
	managed := w.serviceOf(cmd, c.DataDir)
	journalctl, err := exec.LookPath("journalctl")
	if managed == nil || err != nil {
		return errors.New("this agent keeps no log: it prints it to the standard error of `run`. Set logFile in agent.yaml to have one")
	}
	read := func(ctx context.Context, each func(line []byte), args ...string) error {
		journal := exec.CommandContext(ctx, journalctl, append([]string{"--unit", managed.Name, "--output", "json", "--no-pager", "--quiet"}, args...)...)
		journal.Stderr = w.Err
		journal.WaitDelay = time.Second
		journal.Stdout = &lineWriter{each: each}
		if err := journal.Run(); err != nil && ctx.Err() == nil {
			return fmt.Errorf("read the journal of %s: %w", managed.Name, err)
		}
		return nil
	}
	show := func(line []byte) {
		if print, wanted := lines.take(journalLine(line)); wanted {
			print()
		}
	}
	switch {
	case lines.follow && lines.last > 0:
		return read(cmd.Context(), show, "--follow", "--lines", strconv.Itoa(lines.last))
	case lines.follow:
		return read(cmd.Context(), show, "--follow", "--lines", "all")
	case lines.last == 0:
		return read(cmd.Context(), show)
	}
	// Backwards, until there are enough of those that are wanted.
	ctx, enough := context.WithCancel(cmd.Context())
	defer enough()
	var found []func()
	err = read(ctx, func(line []byte) {
		if print, wanted := lines.take(journalLine(line)); wanted && len(found) < lines.last {
			if found = append(found, print); len(found) == lines.last {
				enough()
			}
		}
	}, "--reverse")
	for i := len(found) - 1; i >= 0; i-- {
		found[i]()
	}
	return err
}

// journalLine is an entry of the journal, as journalctl prints it in JSON, in the
// form of a line of the log.
func journalLine(entry []byte) []byte {
	var e struct {
		Message   any    `json:"MESSAGE"` // text, or the bytes of what is none, or nil for what is too long
		Priority  string `json:"PRIORITY"`
		Transport string `json:"_TRANSPORT"`
		Micros    string `json:"__REALTIME_TIMESTAMP"` // since 1970
	}
	if err := json.Unmarshal(entry, &e); err != nil {
		return entry
	}
	text, _ := e.Message.(string)
	if list, ok := e.Message.([]any); ok {
		raw := make([]byte, len(list))
		for i, b := range list {
			number, _ := b.(float64)
			raw[i] = byte(number)
		}
		text = string(raw)
	}
	ours := e.Transport == "stdout"
	if ours && json.Valid([]byte(text)) {
		return []byte(text)
	}
	line := map[string]any{"level": "error", "msg": text} // the last words of a program that broke
	if !ours {
		line["level"], line["logger"] = syslogLevel(e.Priority), "systemd"
	}
	if micros, err := strconv.ParseInt(e.Micros, 10, 64); err == nil {
		line["time"] = time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05.000Z07:00")
	}
	written, _ := json.Marshal(line) // texts: it can't fail
	return written
}

// syslogLevel is the log's name for a priority of syslog, RFC 5424 section 6.2.1.
func syslogLevel(priority string) string {
	switch priority {
	case "7":
		return "debug"
	case "5", "6":
		return "info"
	case "4":
		return "warn"
	}
	return "error"
}

// lineWriter hands on what is written to it, line by line.
type lineWriter struct {
	each func(line []byte)
	rest []byte
}

func (l *lineWriter) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		l.each(line)
		l.rest = rest
	}
}
