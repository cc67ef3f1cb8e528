package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sallyport/relay/account"
)

func newUser(o outside) *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "List and add people, make sign-in links"}
	cmd.AddCommand(newUserList(o), newUserAdd(o), newUserLink(o), newUserReset(o))
	return cmd
}

func newUserList(o outside) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List people", Args: cobra.NoArgs}
	atDesk(cmd, o, func(ctx context.Context, d *desk, _ []string) error {
		users, err := d.accounts.Users(ctx, d.actor)
		if err != nil {
			return inWords(err)
		}
		table := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "ID\tEMAIL\tNAME\tROLE\tSTATE")
		for _, u := range users {
			state := "active"
			if u.Disabled {
				state = "disabled"
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", u.ID, u.Email, u.Name, u.Role, state)
		}
		return table.Flush()
	})
	return cmd
}

func newUserAdd(o outside) *cobra.Command {
	cmd := &cobra.Command{Use: "add EMAIL", Short: "Add a person and print their sign-in link", Args: cobra.ExactArgs(1)}
	name := cmd.Flags().String("name", "", "the person's name")
	role := cmd.Flags().String("role", string(account.Editor), "admin, editor or viewer")
	atDesk(cmd, o, func(ctx context.Context, d *desk, args []string) error {
		user, path, err := d.accounts.CreateUser(ctx, d.actor, args[0], *name, account.Role(*role))
		if err != nil {
			return inWords(err)
		}
		fmt.Fprintf(o.out, "Added %s. This link signs in once, within three days:\n\n  %s\n", user.Email, d.address(path))
		return nil
	})
	return cmd
}

func newUserLink(o outside) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "link [EMAIL]",
		Short: "Make a one-time sign-in link, by default for the first administrator",
		Args:  cobra.MaximumNArgs(1),
	}
	valid := cmd.Flags().Duration("valid", time.Hour, "how long the link may be used: 1m to 720h")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if err := account.CheckLinkLife(*valid); err != nil {
			return fmt.Errorf("--valid %s: %w", *valid, inWords(err))
		}
		return nil
	}
	atDesk(cmd, o, func(ctx context.Context, d *desk, args []string) error {
		path, err := "", error(nil)
		if len(args) == 0 {
			path, err = d.accounts.NewSignInLink(ctx, *valid)
		} else {
			var user account.User
			if user, err = d.find(ctx, args[0]); err == nil {
				path, err = d.accounts.SignInLinkFor(ctx, d.actor, user.ID, *valid)
			}
		}
		if err != nil {
			return inWords(err)
		}
		fmt.Fprintf(o.out, "This link signs in once, within %s:\n\n  %s\n", account.Lasting(*valid), d.address(path))
		if d.config.PublicURL == nil {
			fmt.Fprintln(o.err, "The relay is taken to be at http://127.0.0.1:8080; where it is elsewhere, say so with --public-url.")
		}
		return nil
	})
	return cmd
}

func newUserReset(o outside) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reset EMAIL",
		Short: "Remove a person's password, end their sessions, and print a sign-in link",
		Args:  cobra.ExactArgs(1),
	}
	atDesk(cmd, o, func(ctx context.Context, d *desk, args []string) error {
		user, err := d.find(ctx, args[0])
		if err != nil {
			return err
		}
		if err := d.accounts.ResetPassword(ctx, d.actor, user.ID); err != nil {
			return inWords(err)
		}
		path, err := d.accounts.SignInLinkFor(ctx, d.actor, user.ID, time.Hour)
		if err != nil {
			return inWords(err)
		}
		fmt.Fprintf(o.out, "The password of %s is removed. This link signs in once, within an hour:\n\n  %s\n", user.Email, d.address(path))
		return nil
	})
	return cmd
}

// find is the person of an e-mail address.
func (d *desk) find(ctx context.Context, email string) (account.User, error) {
	users, err := d.accounts.Users(ctx, d.actor)
	if err != nil {
		return account.User{}, inWords(err)
	}
	for _, u := range users {
		if strings.EqualFold(u.Email, email) {
			return u, nil
		}
	}
	return account.User{}, fmt.Errorf("nobody has the address %s; sallyport-relay user list shows who there is", email)
}
