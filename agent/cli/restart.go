package cli

import (
	"fmt"

	"github.com/spf13/cobra"
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
		announceEnd(cmd.Context(), host.Layout().DataDir, "sallyport-agent restart")
		if err := host.Restart(cmd.Context()); err != nil {
			return err
		}
		fmt.Fprintf(w.Out, "Restarted %s. Is it online? sallyport-agent status%s\n", host.Layout().Service, host.Layout().Flag())
		return nil
	}
	return cmd
}
