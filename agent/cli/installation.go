package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sallyport/agent/config"
	"sallyport/agent/control"
	"sallyport/agent/link"
	"sallyport/agent/service"
)

// onlineWithin bounds how long install waits for the first tunnel.
const onlineWithin = 60 * time.Second

// installation is one run of install. Its steps stand in run, in order; each
// notes how to take back what it did.
type installation struct {
	world   World
	host    service.Host
	layout  service.Layout
	flags   installFlags
	sources config.Sources

	config config.Config    // with the files that it names where the admin has them
	code   string           // "": an identity is there
	rules  []string         // to be added to the policy
	before *config.Identity // nil: this machine is not enrolled
	was    service.Status   // of the service, before
	online bool             // it was, before
	binary string           // what the service runs

	undo   service.Undo
	proved func(context.Context) error // clears away what the undoing would have needed
}

func newInstallation(ctx context.Context, w World, host service.Host, f installFlags, s config.Sources) (*installation, error) {
	i := &installation{world: w, host: host, layout: host.Layout(), flags: f, sources: s}
	i.sources.Flags["data"] = i.layout.DataDir
	if i.sources.File == "" {
		if _, err := os.Stat(i.layout.Config()); err == nil {
			i.sources.File = i.layout.Config()
		}
	}
	var err error
	if i.rules, err = allowed(f.allow); err != nil {
		return nil, err
	}
	if i.config, err = config.Load(i.sources); err != nil {
		return nil, err
	}
	id, err := config.LoadIdentity(i.layout.DataDir)
	switch {
	case err == nil:
		i.before = &id
	case !errors.Is(err, config.ErrNotEnrolled) && !f.replace:
		return nil, err
	}
	return i, i.checkIdentity(ctx)
}

// checkIdentity settles whether this machine is to be enrolled, and reads the
// code if so.
func (i *installation) checkIdentity(ctx context.Context) (err error) {
	if i.before != nil && !i.flags.replace {
		relay, err := config.ParseRelay(i.config.Relay)
		if i.config.Relay != "" && (err != nil || relay.String() != i.before.Relay) {
			return fmt.Errorf("this machine is enrolled at %s already, as agent %q. Add --replace to give that up, or --instance NAME to install another agent beside it",
				i.before.Relay, i.before.AgentName)
		}
		return nil
	}
	i.code, err = readCode(ctx, i.flags.code, i.world)
	return err
}

func (i *installation) say(format string, args ...any) {
	fmt.Fprintf(i.world.Out, format+"\n", args...)
}

// run installs or upgrades. Where it fails, everything is as it was before,
// except after an upgrade of an agent that had not been online anyway.
func (i *installation) run(ctx context.Context) (err error) {
	if i.was, err = i.host.Status(ctx); err != nil {
		return err
	}
	if running, err := control.Ask(ctx, i.layout.DataDir); err == nil {
		i.online = running.State == link.StateOnline
	}
	if err := i.check(ctx); err != nil {
		return err
	}
	if err := i.settleRules(ctx); err != nil {
		return err
	}
	if err := i.steps(ctx); err != nil {
		i.say("Taking back what was done …")
		if backErr := i.undo.Back(ctx); backErr != nil {
			return fmt.Errorf("%w\nNot everything was taken back: %w", err, backErr)
		}
		if i.code != "" {
			return fmt.Errorf("%w\nThe machine is as it was before. If the code has been used up, make a new one on the agent's page", err)
		}
		return fmt.Errorf("%w\nThe machine is as it was before", err)
	}
	return i.finish(ctx)
}

func (i *installation) steps(ctx context.Context) error {
	if i.was.State == service.Running {
		// At the bottom, so that it comes last: the earlier program, by the
		// earlier definition.
		i.undo.Later("start the earlier version again", i.host.Restart)
	}
	for _, step := range []func(context.Context) error{
		i.placeProgram, i.addAccount, i.makeDirectories, i.placeConfiguration, i.enroll, i.register, i.start,
	} {
		if err := step(ctx); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return errors.New("stopped")
		}
	}
	return nil
}

func (i *installation) placeProgram(context.Context) error {
	i.proved = func(context.Context) error { return nil }
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if i.layout.InPlace(self) {
		i.binary = self
		return nil
	}
	if owner := i.host.Package(); owner != "" {
		// What replaced its file, the package would neither upgrade nor remove.
		if same, err := service.SameProgram(self, i.layout.Binary); err != nil || !same {
			return errors.Join(err, fmt.Errorf("the program in %s is another version, and %s. To upgrade, install the newer package; to enrol, run this install with the program that is there", i.layout.Binary, owner))
		}
	}
	undo, done, err := service.PlaceProgram(self, i.layout.Binary)
	if err != nil {
		return err
	}
	i.binary, i.proved = i.layout.Binary, done
	i.undo.Later("put the earlier program back", undo)
	return nil
}

func (i *installation) addAccount(ctx context.Context) error {
	added, err := i.host.AddAccount(ctx)
	if added {
		i.undo.Later("remove the account "+i.layout.Account, i.host.RemoveAccount)
	}
	return err
}

func (i *installation) makeDirectories(context.Context) error {
	for _, dir := range []struct {
		path   string
		access service.Access
	}{{i.layout.ConfigDir, service.Reads}, {i.layout.DataDir, service.Owns}} {
		if _, err := os.Stat(dir.path); errors.Is(err, fs.ErrNotExist) {
			i.undo.Later("remove "+dir.path, func(context.Context) error { return os.RemoveAll(dir.path) })
		}
		if err := i.host.MakeDir(dir.path, dir.access); err != nil {
			return err
		}
	}
	return nil
}

// enroll exchanges the code for an identity, unless there is one to keep.
func (i *installation) enroll(ctx context.Context) error {
	if i.code == "" {
		i.say("Enrolled already, as agent %q.", i.before.AgentName)
		return nil
	}
	path := filepath.Join(i.layout.DataDir, config.IdentityFile)
	earlier, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	identity, err := enroll(ctx, i.config, i.world, i.code, i.flags.replace)
	if err != nil {
		return err
	}
	i.undo.Later("tell the relay that this machine is not enrolled after all, and restore the identity", func(ctx context.Context) error {
		leaveErr := leave(ctx, i.config, i.world, identity)
		if len(earlier) == 0 {
			return errors.Join(leaveErr, os.Remove(path))
		}
		_, err := service.PlaceFile(i.host, path, earlier, service.Owns)
		return errors.Join(leaveErr, err)
	})
	i.say("Enrolled as agent %q.", identity.AgentName)
	return i.host.Grant(path, service.Owns)
}

func (i *installation) register(ctx context.Context) error {
	undo, err := i.host.Install(ctx, i.binary)
	if err != nil {
		return err
	}
	i.undo.Later("restore the service "+i.layout.Service, undo)
	i.say("Registered %s: it runs %s as %s.", i.layout.Service, i.binary, i.layout.Account)
	return nil
}

// start starts the service and waits until the agent is online. An upgraded
// agent that was offline before stays upgraded: going back would mend nothing.
func (i *installation) start(ctx context.Context) error {
	if i.flags.noStart {
		return nil
	}
	i.undo.Later("stop the service "+i.layout.Service, i.host.Stop)
	err := i.host.Restart(ctx)
	if err == nil {
		err = i.awaitOnline(ctx)
	}
	if err == nil || i.online || i.was.State != service.Running {
		return err
	}
	i.undo = service.Undo{}
	return fmt.Errorf("upgraded, but not online, as it was not before: %w", err)
}

// finish clears up, and has the last word.
func (i *installation) finish(ctx context.Context) error {
	if err := i.proved(ctx); err != nil {
		i.say("Note: %v", err) // of no consequence: the next upgrade clears it away
	}
	if i.before != nil && i.code != "" {
		if err := leave(ctx, i.config, i.world, *i.before); err != nil {
			i.say("Note: the relay could not be told that the earlier identity is given up (%v). Remove it on its agent's page.", err)
		}
	}
	i.saySurface()
	if i.flags.noStart {
		i.say("Installed, and not started. Next: sallyport-agent start%s", i.layout.Flag())
		return nil
	}
	status, err := control.Ask(ctx, i.layout.DataDir)
	if err != nil {
		return err
	}
	i.say("%s", onlineLine(status))
	return nil
}

// onlineLine is what install ends with.
func onlineLine(s control.Status) string {
	latency := fmt.Sprintf("%.0f", s.LatencyMs)
	if s.LatencyMs < 9.95 {
		latency = fmt.Sprintf("%.1f", s.LatencyMs)
	}
	return fmt.Sprintf("Online as %s (agent %q), %s ms to the relay", hostname(), s.Agent, latency)
}

// awaitOnline waits for the first tunnel of the agent that was just started.
func (i *installation) awaitOnline(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, onlineWithin)
	defer cancel()
	last := "it has not said yet how it is"
	for {
		status, err := control.Ask(ctx, i.layout.DataDir)
		switch {
		case err == nil && status.State == link.StateOnline && status.LatencyMs > 0:
			return nil
		case err == nil && status.State == link.StateRefused:
			return fmt.Errorf("the relay refuses this machine: %s", status.LastError)
		case err == nil && status.LastError != "":
			last = status.LastError
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not online within %v: %s.\nFind out more with: sallyport-agent doctor%s", onlineWithin, last, i.layout.Flag())
		case <-time.After(100 * time.Millisecond):
		}
		if s, err := i.host.Status(ctx); err == nil && s.State == service.Failed {
			return fmt.Errorf("the service %s does not stay up: %s", s.Name, s.Detail)
		}
	}
}
