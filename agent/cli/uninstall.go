package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sallyport/agent/config"
	"sallyport/agent/service"
)

func newUninstall(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "uninstall [--purge]",
		Short: "Stop the service and remove it",
		Long: "Stop the service and remove it, and the program where install has put it. The settings and the identity stay, so\n" +
			"that install can go on from there.\n" +
			"With --purge they go too, and the account; and the relay is told that this machine is not enrolled any more.",
		Args: cobra.NoArgs,
	}
	var instance string
	addInstance(cmd, &instance)
	purge := cmd.Flags().Bool("purge", false, "also forget the identity and the settings, and tell the relay")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		host, err := w.host(instance)
		if err != nil {
			return err
		}
		if err := host.Ready(); err != nil {
			return err
		}
		u := removal{world: w, host: host, layout: host.Layout()}
		return u.run(cmd.Context(), *purge)
	}
	return cmd
}

// removal is one run of uninstall. It goes on after a step that failed, so that
// as little as possible stays.
type removal struct {
	world  World
	host   service.Host
	layout service.Layout
}

func (u *removal) run(ctx context.Context, purge bool) error {
	was, err := u.host.Status(ctx)
	if err != nil {
		return err
	}
	var failed []error
	if was.State != service.NotInstalled {
		// Registered no longer is what counts, even where it does not stop.
		failed = append(failed, u.host.Stop(ctx), u.host.Uninstall(ctx))
		if errors.Join(failed...) == nil {
			fmt.Fprintf(u.world.Out, "Stopped and removed %s.\n", was.Name)
		}
	} else {
		fmt.Fprintf(u.world.Out, "%s is not registered.\n", was.Name)
	}
	if purge {
		failed = append(failed, u.purge(ctx))
	} else if _, err := os.Stat(u.layout.DataDir); err == nil {
		fmt.Fprintf(u.world.Out, "Settings and identity stay, in %s and %s. To remove them too: sallyport-agent uninstall%s --purge\n",
			u.layout.ConfigDir, u.layout.DataDir, u.layout.Flag())
	}
	failed = append(failed, u.removeProgram())
	return errors.Join(failed...)
}

// purge forgets the identity, the settings and the account. A relay that can't
// be told is no reason to keep them.
func (u *removal) purge(ctx context.Context) error {
	u.tellRelay(ctx)
	failed := []error{os.RemoveAll(u.layout.DataDir), os.RemoveAll(u.layout.ConfigDir), u.host.RemoveAccount(ctx)}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	service.RemoveEmpty(filepath.Dir(u.layout.ConfigDir))
	fmt.Fprintf(u.world.Out, "Removed %s, %s and the account %s.\n", u.layout.ConfigDir, u.layout.DataDir, u.layout.Account)
	return nil
}

func (u *removal) tellRelay(ctx context.Context) {
	identity, err := config.LoadIdentity(u.layout.DataDir)
	if errors.Is(err, config.ErrNotEnrolled) {
		return
	}
	if err == nil {
		sources := config.Sources{Env: u.world.Env, Flags: map[string]string{"data": u.layout.DataDir}}
		if _, statErr := os.Stat(u.layout.Config()); statErr == nil {
			sources.File = u.layout.Config()
		}
		var c config.Config
		if c, err = config.Load(sources); err == nil {
			err = leave(ctx, c, u.world, identity)
		}
	}
	if err != nil {
		fmt.Fprintf(u.world.Err, "The relay could not be told (%v).\nRemove this machine on the agent's page there.\n", err)
		return
	}
	fmt.Fprintf(u.world.Out, "The relay has removed this machine from agent %q.\n", identity.AgentName)
}

// removeProgram removes what install has put in place, unless another instance
// runs it.
func (u *removal) removeProgram() error {
	if u.layout.Binary == "" {
		return nil
	}
	if _, err := os.Stat(u.layout.Binary); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if owner := u.host.Package(); owner != "" {
		fmt.Fprintf(u.world.Out, "The program stays in %s: %s\n", u.layout.Binary, owner)
		return nil
	}
	others, err := u.others()
	if err != nil || len(others) > 0 {
		return err
	}
	if err := service.RemoveProgram(u.layout.Binary); err != nil {
		return err
	}
	fmt.Fprintf(u.world.Out, "Removed %s.\n", u.layout.Binary)
	return nil
}

// others are the configuration directories of other agents on this machine,
// installed or kept for later.
func (u *removal) others() ([]string, error) {
	base := u.layout.ConfigDir
	if u.layout.Instance != "" {
		base = base[:len(base)-len("-"+u.layout.Instance)]
	}
	found, err := filepath.Glob(base + "*")
	if err != nil {
		return nil, err
	}
	var others []string
	for _, dir := range found {
		if dir != u.layout.ConfigDir {
			others = append(others, dir)
		}
	}
	return others, nil
}
