package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sallyport/relay/client"
)

func newConnectionHealth(o outside) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health CONNECTION",
		Short: "Show how a connection does, as its scheduled pings find it",
		Long:  "Show how a connection does, as its scheduled pings find it. With --test-notice, send a test notice to\neverybody who would be told of a change; exit status 1: somebody could not be told.",
		Args:  cobra.ExactArgs(1),
	}
	results := cmd.Flags().Int("results", 0, "how many results of pings, newest first")
	notice := cmd.Flags().Bool("test-notice", false, "send a test notice instead")
	var out output
	out.addTo(cmd)
	atRelay(cmd, o, func(ctx context.Context, c *client.Client, args []string) error {
		if err := out.check(); err != nil {
			return err
		}
		known, err := connectionOf(ctx, c, args[0])
		if err != nil {
			return err
		}
		if *notice {
			return sendTestNotice(ctx, c, o, out, known.ID)
		}
		health, err := c.Health(ctx, known.ID, *results)
		if err != nil {
			return err
		}
		return out.show(o.out, health, func(w io.Writer) { showHealth(w, health) })
	})
	return cmd
}

func showHealth(w io.Writer, h client.ConnectionHealth) {
	row(w, "State", h.State, h.Message)
	if h.Since != nil {
		row(w, "Since", ago(h.Since))
	}
	row(w, "Last ping", ago(h.CheckedAt))
	if h.NextAt != nil {
		row(w, "Next ping", ago(h.NextAt))
	}
	for _, span := range []struct {
		name string
		is   client.Availability
	}{{"Last day", h.Availability.Day}, {"Last week", h.Availability.Week}} {
		if span.is.Percent != nil {
			row(w, span.name, fmt.Sprintf("%.2f %%", *span.is.Percent), fmt.Sprintf("%d of %d pings", span.is.OK, span.is.Pings))
		}
	}
	for _, c := range h.Changes {
		row(w, ago(&c.At), c.Was+" → "+c.State, c.Message)
	}
	for _, r := range h.Results {
		row(w, ago(&r.At), r.State, fmt.Sprintf("%.0f ms", r.LatencyMs), r.Message)
	}
}

func sendTestNotice(ctx context.Context, c *client.Client, o outside, out output, id string) error {
	sent, err := c.SendTestNotice(ctx, id)
	if err != nil {
		return err
	}
	failed := false
	err = out.show(o.out, sent, func(w io.Writer) {
		for _, n := range sent {
			row(w, n.Kind, n.Recipient, map[bool]string{true: "sent", false: n.Failure}[n.OK])
		}
	})
	for _, n := range sent {
		failed = failed || !n.OK
	}
	if err == nil && failed {
		return exitStatus(1)
	}
	return err
}
