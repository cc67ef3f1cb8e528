package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"sallyport/agent/config"
	"sallyport/agent/service"
)

func newRestart(w World) *cobra.Command {
	cmd := &cobra.Command{Use: "restart", Short: "Stop the installed service and start it again", Args: cobra.NoArgs}
	var instance string
	addInstance(cmd, &instance)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		host, err := w.installed(cmd, instance)
		if err != nil {
			return err
		}
		if err := w.wouldStart(host.Layout()); err != nil {
			return err
		}
		announceEnd(cmd.Context(), host.Layout().DataDir, "sallyport-agent restart")
		if err := host.Restart(cmd.Context()); err != nil {
			return err
		}
		fmt.Fprintf(w.Out, "Restarted %s. Is it online? sallyport-agent status%s\n", host.Layout().Service, host.Layout().Flag())
		return nil
	}
	return cmd
}

// wouldStart says what is wrong with the configuration of an installed agent: one
// that runs has the one before in use, and would not come back.
func (w World) wouldStart(l service.Layout) error {
	c, err := config.Load(config.Sources{File: l.Config(), Flags: map[string]string{"data": l.DataDir}})
	if err == nil {
		_, err = prepare(c, w, nil)
	}
	if err != nil {
		return fmt.Errorf("nothing was done, since the agent would not start again with its configuration:\n%w", err)
	}
	return nil
}
