package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"slices"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"sallyport/agent/config"
	"sallyport/agent/control"
	"sallyport/agent/service"
	"sallyport/internal/buildinfo"
	"sallyport/internal/gcpace"
	"sallyport/internal/logging"
	"sallyport/internal/processors"
)

func newRun(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run --data DIR",
		Short: "Hold the tunnels and serve requests, until stopped",
		Long: "Hold the tunnels and serve requests, until SIGINT or SIGTERM; requests under way may finish. A second signal ends it at once.\n\n" +
			"The configuration file is read again when it changes, on SIGHUP, and by the command reload.\n\n" +
			"Where the data directory holds no identity, the one-time code in $SALLYPORT_CODE is exchanged for one, as by enroll.",
		Args: cobra.NoArgs,
	}
	sources := addSources(cmd, w, slices.Concat([]string{"data", "relay"}, egressFlags, []string{"target-proxy", "target-ca-file", "max-request-body", "log-level", "log-format"}, recordFlags)...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return service.Run(cmd.Context(), func(ctx context.Context) error {
			s := sources()
			load := func() (config.Config, error) { return loadFrom(s) }
			c, err := load()
			if err != nil {
				return err
			}
			return run(ctx, c, reloading{file: s.Watched(), load: load}, w)
		})
	}
	return cmd
}

// garbageHeadroom is how much garbage the agent lets gather, in bytes: it is to
// be a small guest on its machine.
const garbageHeadroom = 16 << 20

func run(ctx context.Context, c config.Config, again reloading, w World) error {
	gcpace.Relax(garbageHeadroom)
	lines, err := openLogs(ctx, c, w)
	if err != nil {
		return err
	}
	defer lines.Close()
	log := lines.Logger()
	defer processors.Follow(log)()
	// net/http prints what an unruly application sends, word for word, to the
	// standard logger; it may be a cookie.
	stdlog.SetOutput(io.Discard)
	identity, err := identity(ctx, c, w, log)
	if err != nil {
		return err
	}
	if _, err := control.Ask(ctx, c.DataDir); err == nil {
		return fmt.Errorf("an agent is running with the data directory %s already", c.DataDir)
	} else if !errors.Is(err, control.ErrNotRunning) {
		return err
	}
	kept, err := openRecords(c, lines)
	if err != nil {
		return err
	}
	defer kept.close()
	a, err := newAgent(c, w, identity, kept, log)
	if err != nil {
		return err
	}
	defer a.targets.Close()
	defer a.secrets.Close()
	a.keeper = a.newKeeper(c, again)
	server, err := control.Serve(c.DataDir, control.Agent{Status: a.status, Reload: a.reload}, a.actions()...)
	if err != nil {
		return err
	}
	defer server.Close()
	closeVitals, err := a.serveVitals(c)
	defer closeVitals()
	if err != nil {
		return err
	}
	log.Info("agent started", logging.Agent(identity.AgentID), logging.Instance(identity.InstanceID), zap.String("version", buildinfo.Version()))
	defer service.Announce(ctx, a.health)()
	defer a.followConfiguration(ctx)()
	defer a.leaveTrail(ctx)()
	if err := a.link.Run(ctx); err != nil {
		return err
	}
	log.Info("agent stopped")
	return nil
}
