package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"sallyport/agent/config"
	"sallyport/agent/control"
	"sallyport/agent/pause"
	"sallyport/proto"
)

func newPause(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pause [--reason TEXT] [--for 30m]",
		Short: "Stop forwarding: every request is refused at once until `resume`",
		Long: "Stop forwarding: every request is refused at once until `resume`. Requests under way end as they would have, and the tunnels stay up.\n" +
			"It outlives a restart, and works while the agent does not run. The relay shows the reason to its users.",
		Args: cobra.NoArgs,
	}
	dataDir := addDataDir(cmd, w)
	reason := cmd.Flags().String("reason", "", "why, for those who use the relay: one line")
	lasts := cmd.Flags().Duration("for", 0, "go on by itself after so long, such as 30m")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		dir, err := dataDir()
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("for") && *lasts < time.Second {
			return errors.New("--for: a pause lasts for a second at least, such as 30m")
		}
		var p proto.Paused
		err = control.Tell(cmd.Context(), dir, "/pause", pauseAsked{Reason: *reason, LastsMs: lasts.Milliseconds()}, &p)
		running := !errors.Is(err, control.ErrNotRunning)
		if !running {
			p, err = turnAtRest(dir, func(s *pause.Switch) (proto.Paused, error) { return s.Pause(*reason, *lasts) })
		}
		if err != nil {
			return permitted(err)
		}
		printPaused(w.Out, p, running, again(cmd, named...))
		return nil
	}
	return cmd
}

func newResume(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resume",
		Short: "End a pause: requests are forwarded again",
		Args:  cobra.NoArgs,
	}
	dataDir := addDataDir(cmd, w)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		dir, err := dataDir()
		if err != nil {
			return err
		}
		var was proto.Paused
		err = control.Tell(cmd.Context(), dir, "/resume", struct{}{}, &was)
		if errors.Is(err, control.ErrNotRunning) {
			was, err = turnAtRest(dir, (*pause.Switch).Resume)
		}
		switch {
		case err != nil:
			return permitted(err)
		case was.Since.IsZero():
			fmt.Fprintln(w.Out, "It was not paused.")
		default:
			fmt.Fprintf(w.Out, "Resumed; it was paused for %s.\n", span(time.Since(was.Since)))
		}
		return nil
	}
	return cmd
}

// turnAtRest turns the switch of an agent that does not run. Where none is enrolled,
// whoever paused would believe that an agent somewhere else was.
func turnAtRest(dir string, turn func(*pause.Switch) (proto.Paused, error)) (proto.Paused, error) {
	if _, err := config.LoadIdentity(dir); errors.Is(err, config.ErrNotEnrolled) {
		return proto.Paused{}, fmt.Errorf("no agent is enrolled in %s: name its data directory with --data DIR", dir)
	}
	s, err := pause.Open(dir)
	if err != nil {
		return proto.Paused{}, err
	}
	defer s.Close()
	return turn(s)
}

func printPaused(out io.Writer, p proto.Paused, running bool, flags string) {
	what := "Paused"
	if !running {
		what = "No agent runs here. When it starts it will be paused"
	}
	if p.Until.IsZero() {
		fmt.Fprintf(out, "%s, until: sallyport-agent resume%s\n", what, flags)
		return
	}
	fmt.Fprintf(out, "%s, until %s or: sallyport-agent resume%s\n", what, p.Until.Local().Format("2006-01-02 15:04:05"), flags)
}

// permitted adds to an error for want of permission what to do.
func permitted(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: run it as an administrator, or as the user that the agent runs as", err)
	}
	return err
}
