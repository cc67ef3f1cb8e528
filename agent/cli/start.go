package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newStart(w World) *cobra.Command {
	cmd := &cobra.Command{Use: "start", Short: "Start the installed service", Args: cobra.NoArgs}
	var instance string
	addInstance(cmd, &instance)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		host, err := w.installed(cmd, instance)
		if err != nil {
			return err
		}
		if err := host.Start(cmd.Context()); err != nil {
			return err
		}
		fmt.Fprintf(w.Out, "Started %s. Is it online? sallyport-agent status%s\n", host.Layout().Service, host.Layout().Flag())
		return nil
	}
	return cmd
}
