package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/client"
)

func newToken(o outside) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke API tokens",
		Long:  "Make, list and revoke API tokens: in the database beside the relay or, with --relay URL, by the API of a relay.",
	}
	cmd.AddCommand(newTokenCreate(o), newTokenList(o), newTokenRevoke(o))
	return cmd
}

func newTokenCreate(o outside) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an API token and print it",
		Long:  "Make an API token. The token alone goes to the standard output, so that a script can take it from there; it is shown this once.",
		Args:  cobra.ExactArgs(1),
	}
	role := cmd.Flags().String("role", string(account.Editor), "admin, editor or viewer")
	expires := cmd.Flags().Duration("expires", 0, "after how long the token stops working, such as 720h; 0: never")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if *expires < 0 || *expires > 0 && *expires < time.Minute {
			return fmt.Errorf("--expires %s: a token works for a minute at least, such as 720h, or with 0 until it is revoked", *expires)
		}
		return nil
	}
	atDesk(cmd, o, func(ctx context.Context, d *desk, args []string) error {
		var until *time.Time
		if *expires > 0 {
			t := time.Now().Add(*expires)
			until = &t
		}
		token, secret, err := d.accounts.CreateToken(ctx, d.actor, args[0], account.Role(*role), until)
		if err != nil {
			return inWords(err)
		}
		madeToken(o, token.Name, token.ID, string(token.Role), secret)
		return nil
	})
	orAtRelay(cmd, o, func(ctx context.Context, c *client.Client, args []string) error {
		t := client.NewToken{Name: args[0], Role: *role}
		if *expires > 0 {
			until := time.Now().Add(*expires)
			t.ExpiresAt = &until
		}
		token, err := c.CreateToken(ctx, t)
		if err == nil {
			madeToken(o, token.Name, token.ID, token.Role, token.Token)
		}
		return err
	})
	return cmd
}

func madeToken(o outside, name, id, role, secret string) {
	fmt.Fprintf(o.err, "Made token %s (%s) with role %s. It is shown this once:\n", name, id, role)
	fmt.Fprintln(o.out, secret)
}

func newTokenList(o outside) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List API tokens", Args: cobra.NoArgs}
	atDesk(cmd, o, func(ctx context.Context, d *desk, _ []string) error {
		tokens, err := d.accounts.Tokens(ctx, d.actor)
		if err != nil {
			return inWords(err)
		}
		table := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "ID\tNAME\tROLE\tBEGINS\tLAST USED\tEXPIRES")
		for _, t := range tokens {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.Name, t.Role, t.Hint, when(t.LastUsedAt), when(t.ExpiresAt))
		}
		return table.Flush()
	})
	orAtRelay(cmd, o, func(ctx context.Context, c *client.Client, _ []string) error {
		tokens, err := c.Tokens(ctx)
		if err != nil {
			return err
		}
		out := output{format: "table"}
		return out.show(o.out, tokens, func(w io.Writer) {
			fmt.Fprintln(w, "ID\tNAME\tROLE\tBEGINS\tLAST USED\tEXPIRES")
			for _, t := range tokens {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.Name, t.Role, t.Begins, when(t.LastUsedAt), when(t.ExpiresAt))
			}
		})
	})
	return cmd
}

func newTokenRevoke(o outside) *cobra.Command {
	cmd := &cobra.Command{Use: "revoke ID", Short: "Make an API token worthless", Args: cobra.ExactArgs(1)}
	atDesk(cmd, o, func(ctx context.Context, d *desk, args []string) error {
		if err := d.accounts.RevokeToken(ctx, d.actor, args[0]); err != nil {
			return inWords(err)
		}
		fmt.Fprintln(o.out, "Revoked.")
		return nil
	})
	orAtRelay(cmd, o, func(ctx context.Context, c *client.Client, args []string) error {
		err := c.RevokeToken(ctx, args[0])
		if err == nil {
			fmt.Fprintln(o.out, "Revoked.")
		}
		return err
	})
	return cmd
}

func when(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// inWords is err as a person at a terminal reads it: what happened, and what to
// do, without the code that programs go by.
func inWords(err error) error {
	e := proto.AsError(err)
	if e == nil {
		return err
	}
	if e.Hint == "" {
		return fmt.Errorf("%s", e.Detail)
	}
	return fmt.Errorf("%s %s", e.Detail, e.Hint)
}
