package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/proto"
	"sallyport/relay/client"
)

func newAgent(o outside) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "List, make and enrol agents",
		Long:  "List, make and enrol the agents of a relay, by its API.\nAn agent is named by its id, or its name where no other has it.",
	}
	cmd.AddCommand(newAgentList(o), newAgentShow(o), newAgentCreate(o), newAgentRename(o), newAgentDelete(o),
		newAgentEnroll(o), newAgentRemove(o), newAgentHistory(o), newAgentLogs(o))
	return cmd
}

func newAgentList(o outside) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List agents", Args: cobra.NoArgs}
	query := cmd.Flags().StringP("query", "q", "", "only those whose name contains this")
	var out output
	out.addTo(cmd)
	atRelay(cmd, o, func(ctx context.Context, c *client.Client, _ []string) error {
		if err := out.check(); err != nil {
			return err
		}
		all, err := collect(c.Agents(ctx, client.ListOptions{Query: *query}))
		if err != nil {
			return err
		}
		return out.show(o.out, all, func(w io.Writer) {
			row(w, "ID", "NAME", "STATUS", "MACHINES", "CONNECTIONS", "LAST SEEN")
			for _, a := range all {
				row(w, a.ID, a.Name, a.Status, len(a.Instances), a.UsedBy, ago(a.LastSeenAt))
			}
		})
	})
	return cmd
}

// agentOf is the agent of an id, or of a name that no other has.
func agentOf(ctx context.Context, c *client.Client, ref string) (client.Agent, error) {
	var found client.Agent
	if strings.HasPrefix(ref, "agt_") {
		found, err := c.Agent(ctx, ref)
		if err == nil || !client.Is(err, proto.CodeNotFound) {
			return found, err
		}
	}
	var named []client.Agent
	for each, err := range c.Agents(ctx, client.ListOptions{Query: ref}) {
		if err != nil {
			return found, err
		}
		if each.Name == ref {
			named = append(named, each)
		}
	}
	if len(named) == 1 {
		return named[0], nil
	}
	if len(named) == 0 {
		return found, fmt.Errorf("there is no agent with the id or name %q: sallyport-relay agent list shows them", ref)
	}
	ids := make([]string, len(named))
	for i, each := range named {
		ids[i] = each.ID
	}
	return found, fmt.Errorf("several agents are named %q: say which by its id, %s", ref, strings.Join(ids, ", "))
}

// onAgent makes a command on one agent, its first argument.
func onAgent(cmd *cobra.Command, o outside, do func(ctx context.Context, c *client.Client, a client.Agent, args []string) error) *cobra.Command {
	atRelay(cmd, o, func(ctx context.Context, c *client.Client, args []string) error {
		a, err := agentOf(ctx, c, args[0])
		if err != nil {
			return err
		}
		return do(ctx, c, a, args[1:])
	})
	return cmd
}

func newAgentShow(o outside) *cobra.Command {
	cmd := &cobra.Command{Use: "show AGENT", Short: "Show an agent and its machines", Args: cobra.ExactArgs(1)}
	var out output
	out.addTo(cmd)
	return onAgent(cmd, o, func(_ context.Context, _ *client.Client, a client.Agent, _ []string) error {
		if err := out.check(); err != nil {
			return err
		}
		return out.show(o.out, a, func(w io.Writer) {
			row(w, "Name", a.Name)
			row(w, "ID", a.ID)
			row(w, "Status", a.Status)
			row(w, "Connections", a.UsedBy)
			if len(a.Instances) > 0 {
				fmt.Fprintln(w)
				row(w, "MACHINE", "ID", "SYSTEM", "VERSION", "ONLINE", "LATENCY", "LAST SEEN")
			}
			for _, in := range a.Instances {
				row(w, in.Hostname, in.ID, in.OS+"/"+in.Arch, in.Version, in.Online, fmt.Sprintf("%.0f ms", in.LatencyMs), ago(in.LastSeenAt))
			}
		})
	})
}

func newAgentCreate(o outside) *cobra.Command {
	cmd := &cobra.Command{Use: "create NAME", Short: "Make an agent; enroll puts it on a machine", Args: cobra.ExactArgs(1)}
	var out output
	out.addTo(cmd)
	atRelay(cmd, o, func(ctx context.Context, c *client.Client, args []string) error {
		if err := out.check(); err != nil {
			return err
		}
		a, err := c.CreateAgent(ctx, args[0])
		if err != nil {
			return err
		}
		return out.show(o.out, a, func(w io.Writer) { fmt.Fprintf(w, "Made %s (%s).\n", a.Name, a.ID) })
	})
	return cmd
}

func newAgentRename(o outside) *cobra.Command {
	cmd := &cobra.Command{Use: "rename AGENT NAME", Short: "Rename an agent", Args: cobra.ExactArgs(2)}
	return onAgent(cmd, o, func(ctx context.Context, c *client.Client, a client.Agent, args []string) error {
		_, err := c.RenameAgent(ctx, a.ID, args[0])
		if err == nil {
			fmt.Fprintf(o.out, "%s is named %s now.\n", a.Name, args[0])
		}
		return err
	})
}

func newAgentDelete(o outside) *cobra.Command {
	cmd := &cobra.Command{Use: "delete AGENT", Short: "Delete an agent that no connection uses", Args: cobra.ExactArgs(1)}
	yes := cmd.Flags().BoolP("yes", "y", false, "do not ask")
	return onAgent(cmd, o, func(ctx context.Context, c *client.Client, a client.Agent, _ []string) error {
		fmt.Fprintf(o.err, "- %s (%s), %d machines\n", a.Name, a.ID, len(a.Instances))
		if err := confirm(o, *yes, "Delete? Its machines can't connect any more."); err != nil {
			return err
		}
		if err := c.DeleteAgent(ctx, a.ID); err != nil {
			return err
		}
		fmt.Fprintln(o.out, "Deleted", a.Name+".")
		return nil
	})
}

func newAgentEnroll(o outside) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "enroll AGENT",
		Short: "Make a one-time code, and the commands that install the agent with it",
		Args:  cobra.ExactArgs(1),
	}
	code := cmd.Flags().Bool("code", false, "print the code alone, for scripts")
	var out output
	out.addTo(cmd)
	return onAgent(cmd, o, func(ctx context.Context, c *client.Client, a client.Agent, _ []string) error {
		if err := out.check(); err != nil {
			return err
		}
		e, err := c.CreateEnrolment(ctx, a.ID)
		if err != nil {
			return err
		}
		if *code {
			_, err := fmt.Fprintln(o.out, e.Code)
			return err
		}
		return out.show(o.out, e, func(w io.Writer) {
			fmt.Fprintf(w, "This code makes one machine part of %s, until %s:\n\n  %s\n", a.Name, ago(&e.ExpiresAt), e.Code)
			for _, way := range [][2]string{{"Linux", e.Commands.Linux}, {"Windows", e.Commands.Windows}, {"macOS", e.Commands.MacOS}, {"Docker", e.Commands.Docker}} {
				if way[1] != "" {
					fmt.Fprintf(w, "\nOn %s:\n\n  %s\n", way[0], way[1])
				}
			}
		})
	})
}

func newAgentRemove(o outside) *cobra.Command {
	cmd := &cobra.Command{Use: "remove-machine AGENT MACHINE", Short: "End the enrolment of a machine, named by its id or host name", Args: cobra.ExactArgs(2)}
	return onAgent(cmd, o, func(ctx context.Context, c *client.Client, a client.Agent, args []string) error {
		var found []client.Instance
		for _, in := range a.Instances {
			if in.ID == args[0] || in.Hostname == args[0] {
				found = append(found, in)
			}
		}
		if len(found) != 1 {
			return fmt.Errorf("%d machines of %s have the id or host name %q: sallyport-relay agent show lists them", len(found), a.Name, args[0])
		}
		if err := c.RemoveInstance(ctx, a.ID, found[0].ID); err != nil {
			return err
		}
		fmt.Fprintln(o.out, "Removed", found[0].Hostname+".")
		return nil
	})
}

func newAgentHistory(o outside) *cobra.Command {
	cmd := &cobra.Command{Use: "history AGENT", Short: "Show when its machines came and went, newest first", Args: cobra.ExactArgs(1)}
	most := cmd.Flags().Int("limit", 50, "how many at most")
	var out output
	out.addTo(cmd)
	return onAgent(cmd, o, func(ctx context.Context, c *client.Client, a client.Agent, _ []string) error {
		if err := out.check(); err != nil {
			return err
		}
		all := []client.Happening{}
		for h, err := range c.AgentHistory(ctx, a.ID, client.ListOptions{PageSize: min(max(*most, 1), 200)}) {
			if err != nil {
				return err
			}
			if all = append(all, h); len(all) >= *most {
				break
			}
		}
		return out.show(o.out, all, func(w io.Writer) {
			row(w, "AT", "MACHINE", "", "WHY")
			for _, h := range all {
				row(w, ago(&h.At), h.Hostname, map[bool]string{true: "online", false: "offline"}[h.Online], strings.TrimSpace(h.Cause+" "+h.Detail+" "+h.Reason))
			}
		})
	})
}

func newAgentLogs(o outside) *cobra.Command {
	cmd := &cobra.Command{Use: "logs AGENT", Short: "Follow what its machines log, where their site allows it", Args: cobra.ExactArgs(1)}
	level := cmd.Flags().String("level", "info", "debug, info, warn or error")
	return onAgent(cmd, o, func(ctx context.Context, c *client.Client, a client.Agent, _ []string) error {
		for e, err := range c.AgentLogs(ctx, a.ID, client.LogOptions{Level: *level}) {
			if err != nil {
				return err
			}
			switch e.Type {
			case "log":
				fmt.Fprintln(o.out, onTerminal(fmt.Sprintf("%s  %s  %-5s  %s  %s  %s", ago(&e.Time), e.Hostname, e.Level, e.Logger, e.Message, e.Fields)))
			case "dropped":
				fmt.Fprintf(o.err, "%s: %d lines are missing here\n", e.Hostname, e.Lines)
			case "off":
				fmt.Fprintf(o.err, "%s does not share its log: its site decides, by remoteLogs in agent.yaml\n", e.Hostname)
			}
		}
		return nil
	})
}
