package cli

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"sallyport/agent/config"
	"sallyport/agent/control"
	"sallyport/agent/reload"
	"sallyport/proto"
)

func newReload(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload [--data DIR]",
		Short: "Have the running agent read its configuration again; exit status 0 only if it was taken",
		Long:  "Have the running agent read its configuration again, and the files that it names. Requests under way go on. A faulty configuration changes nothing.",
		Args:  cobra.NoArgs,
	}
	load := addDataDir(cmd, w)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		dir, err := load()
		if err != nil {
			return err
		}
		status, err := control.Reload(cmd.Context(), dir)
		if errors.Is(err, control.ErrNotRunning) {
			return fmt.Errorf("%w with the data directory %s: it reads its configuration when it starts", err, dir)
		}
		if err != nil {
			return err
		}
		if status.ConfigError != "" {
			return fmt.Errorf("not taken, and what was in use before stays in use:\n%s", status.ConfigError)
		}
		fmt.Fprintf(w.Out, "The configuration is in use (version %s).\n", status.Config.Version)
		if keys := status.Config.NeedsRestart; len(keys) > 0 {
			fmt.Fprintf(w.Out, "It needs a restart of the agent for: %s\n", strings.Join(keys, ", "))
		}
		return nil
	}
	return cmd
}

// reloading is where a running agent's configuration comes from.
type reloading struct {
	file string // watched
	load func() (config.Config, error)
}

func (a *agent) newKeeper(c config.Config, from reloading) *reload.Keeper {
	return reload.New(c, reload.Options{
		File: from.file, Load: from.load, Take: a.take,
		Changed: func(s reload.State) { a.link.Tell(configState(s)) },
		Log:     a.log.Named("config"),
	})
}

// followConfiguration has the configuration read again whenever that is due,
// until the function that it returns is called.
func (a *agent) followConfiguration(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	signals, forget := reloadSignals()
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.keeper.Run(ctx, signals)
	}()
	return func() {
		forget()
		cancel()
		<-done
	}
}

// take puts a configuration into use. All that can fail comes first.
func (a *agent) take(before, after config.Config, forced bool) error {
	p, err := a.prepare(after)
	if err != nil {
		return err
	}
	if err := a.logs.Configure(after.LogLevel, after.LogFormat, after.RemoteLogs); err != nil {
		return err
	}
	if p.rules.String() != a.policy.Policy().String() {
		a.policy.Replace(p.rules)
		a.link.Tell(p.rules.Summary())
		if warning := p.rules.Warning(); warning != "" {
			a.log.Warn("policy is open", zap.String("meaning", warning))
		}
	}
	a.secrets.Replace(p.secrets)
	if !reflect.DeepEqual(before.Secrets, after.Secrets) {
		a.warnOfSecrets()
	}
	a.targets.replace(a.road(p))
	a.forwarder.SetMaxBody(p.maxBody)
	changed := config.Changed(before, after)
	if forced || slices.ContainsFunc(changed, func(key string) bool { return slices.Contains(config.RelayKeys, key) }) {
		a.log.Info("the relay is dialled anew, by the settings that apply now")
		a.link.Reroute(p.way)
	}
	return nil
}

// reload is for the control endpoint.
func (a *agent) reload() control.Status {
	a.keeper.Reload("command")
	return a.status()
}

// tellConfig says in the status which configuration is in use.
func (a *agent) tellConfig(out *control.Status) {
	s := a.keeper.State()
	out.Config = &control.Config{File: s.File, Version: s.Version, LoadedAt: s.LoadedAt, NeedsRestart: s.Restart}
	if s.Err != nil {
		out.ConfigError, out.ConfigErrorSince = s.Err.Error(), s.Since
	}
}

// configState is what the relay is told of it. The site's rules are not quoted.
func configState(s reload.State) *proto.ConfigState {
	out := &proto.ConfigState{Version: s.Version, LoadedAt: s.LoadedAt, NeedsRestart: s.Restart}
	if s.Err == nil {
		return out
	}
	out.Since, out.Error = s.Since, s.Err.Error()
	var faults *config.Faults
	if errors.As(s.Err, &faults) {
		out.Error = faults.Told()
	}
	out.Error = strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, out.Error)
	if most := proto.MaxConfigError; len(out.Error) > most {
		out.Error = strings.ToValidUTF8(out.Error[:most-len("…")], "") + "…"
	}
	return out
}
