package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newStop(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Stop the installed service; requests under way may finish",
		Long:  "Stop the installed service; requests under way may finish. It comes back when the machine starts, or with `sallyport-agent start`.",
		Args:  cobra.NoArgs,
	}
	var instance string
	addInstance(cmd, &instance)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		host, err := w.installed(cmd, instance)
		if err != nil {
			return err
		}
		announceEnd(cmd.Context(), host.Layout().DataDir, "sallyport-agent stop")
		if err := host.Stop(cmd.Context()); err != nil {
			return err
		}
		fmt.Fprintf(w.Out, "Stopped %s.\n", host.Layout().Service)
		return nil
	}
	return cmd
}
