package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/agent/config"
	"sallyport/agent/control"
	"sallyport/agent/link"
	"sallyport/agent/service"
	"sallyport/internal/buildinfo"
	"sallyport/proto"
)

// States beyond those of a link.
const (
	stateNotRunning  = "not_running"
	stateNotEnrolled = "not_enrolled"
)

func newStatus(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [--data DIR]",
		Short: "Say whether the agent is online; exit status 0 only if it is",
		Args:  cobra.NoArgs,
	}
	dataDir := addDataDir(cmd, w)
	asJSON := cmd.Flags().Bool("json", false, "print JSON for programs")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		dir, err := dataDir()
		if err != nil {
			return err
		}
		status, err := control.Ask(cmd.Context(), dir)
		if errors.Is(err, control.ErrNotRunning) {
			status, err = statusAtRest(dir)
		}
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%w: run it as an administrator, or as the user that the agent runs as", err)
		}
		if err != nil {
			return err
		}
		managed := w.serviceOf(cmd, dir)
		if *asJSON {
			enc := json.NewEncoder(w.Out)
			enc.SetIndent("", "  ")
			err = enc.Encode(struct {
				control.Status
				Service *service.Status `json:"service,omitempty"`
			}{status, managed})
		} else {
			printStatus(w.Out, status, managed, dir, time.Now())
		}
		if err == nil && status.State != link.StateOnline {
			err = errSaid
		}
		return err
	}
	return cmd
}

// statusAtRest is what the files tell while no agent runs.
func statusAtRest(dir string) (control.Status, error) {
	status := control.Status{State: stateNotRunning, Tunnels: []control.Tunnel{}, Version: buildinfo.Version()}
	identity, err := config.LoadIdentity(dir)
	if errors.Is(err, config.ErrNotEnrolled) {
		status.State = stateNotEnrolled
		return status, nil
	}
	if err != nil {
		return control.Status{}, err
	}
	status.Agent, status.AgentID, status.InstanceID, status.Relay = identity.AgentName, identity.AgentID, identity.InstanceID, identity.Relay
	return status, nil
}

func printStatus(out io.Writer, s control.Status, managed *service.Status, dir string, now time.Time) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(out, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	since := ""
	if !s.Since.IsZero() {
		since = " for " + span(now.Sub(s.Since))
	}
	line("State", "%s%s", strings.ReplaceAll(s.State, "_", " "), since)
	if managed != nil {
		line("Service", "%s", serviceText(*managed))
	}
	if s.State == stateNotEnrolled {
		line("Next", "sallyport-agent enroll --relay URL --code CODE --data %s", dir)
		return
	}
	line("Agent", "%s", s.Agent)
	line("Relay", "%s", s.Relay)
	if s.State == stateNotRunning && managed != nil {
		line("Next", "sallyport-agent start; the system's log says why it stopped")
		return
	}
	if s.State == stateNotRunning {
		line("Next", "sallyport-agent run --data %s", dir)
		return
	}
	for _, t := range s.Tunnels {
		line("Tunnel", "%s  up %s, %.1f ms", t.ID, span(now.Sub(t.ConnectedAt)), t.LatencyMs)
	}
	if s.LastError != "" {
		line("Error", "%s", s.LastError)
	}
	if s.EarlierError != "" {
		line("Earlier", "%s ago: %s", span(now.Sub(s.EarlierErrorAt)), s.EarlierError)
	}
	if !s.RetryAt.IsZero() {
		line("Retry", "in %s", span(s.RetryAt.Sub(now)))
	}
	if s.State != link.StateOnline {
		line("Next", "sallyport-agent doctor --data %s", dir)
	}
	if p := s.Paused; p != nil {
		line("Paused", "%s", pausedText(p, now))
		line("Next", "sallyport-agent resume --data %s", dir)
	}
	line("Requests", "%s", requestsText(s))
	if s.LostEntries > 0 || s.LostLines > 0 {
		line("Lost", "%s of the ledger, %s of the log: the disk did not take them", counted(int(s.LostEntries), "line"), counted(int(s.LostLines), "line"))
	}
	if p := s.Policy; p != nil {
		line("Policy", "%s, %s, default %s", p.Version, counted(p.Rules, "rule"), p.Default)
		if p.Warning != "" {
			line("Warning", "%s", p.Warning)
		}
	}
	if p := s.Secrets; p != nil && len(p.Names) > 0 {
		line("Secrets", "%s", strings.Join(p.Names, ", "))
		if p.Warning != "" {
			line("Warning", "%s", p.Warning)
		}
	}
	printConfig(line, s, now)
	line("Version", "%s, running %s", s.Version, span(time.Duration(s.UptimeSeconds)*time.Second))
}

func absent(file string) bool {
	_, err := os.Stat(file)
	return errors.Is(err, fs.ErrNotExist)
}

// printConfig says what of the configuration is not in use.
func printConfig(line func(name, format string, args ...any), s control.Status, now time.Time) {
	if c := s.Config; c != nil && c.File != "" && s.ConfigError == "" && absent(c.File) {
		line("Config", "none: %s does not exist", c.File)
	} else if c != nil && c.File != "" {
		line("Config", "%s, version %s, in use for %s", c.File, c.Version, span(now.Sub(c.LoadedAt)))
	}
	if c := s.Config; c != nil && len(c.NeedsRestart) > 0 {
		line("", "needs a restart: %s", strings.Join(c.NeedsRestart, ", "))
	}
	if s.ConfigError == "" {
		return
	}
	line("", "the last edit was not taken, for %s now; what was in use before stays in use:", span(now.Sub(s.ConfigErrorSince)))
	for fault := range strings.SplitSeq(s.ConfigError, "\n") {
		line("", "  %s", fault)
	}
}

// pausedText says of a pause since when, until when and why.
func pausedText(p *proto.Paused, now time.Time) string {
	text := "by the site for " + span(now.Sub(p.Since))
	if !p.Until.IsZero() {
		text += ", for " + span(p.Until.Sub(now)) + " more"
	}
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return text
}

// requestsText counts the requests since the agent was started.
func requestsText(s control.Status) string {
	text := fmt.Sprintf("%d under way", s.InFlight)
	if r := s.Requests; r != nil {
		text += fmt.Sprintf(", %d done", r.Total)
		for _, part := range []struct {
			n    int64
			what string
		}{{r.Failed, "failed"}, {r.Denied, "denied"}, {r.Paused, "refused while paused"}} {
			if part.n > 0 {
				text += fmt.Sprintf(", %d %s", part.n, part.what)
			}
		}
	}
	return text
}

// counted is a number of things as a person says it.
func counted(n int, thing string) string {
	switch n {
	case 0:
		return "no " + thing + "s"
	case 1:
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// span is a duration as a person says it.
func span(d time.Duration) string { return max(d, 0).Round(time.Second).String() }
