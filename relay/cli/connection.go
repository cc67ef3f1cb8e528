package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/proto"
	"sallyport/relay/client"
	"sallyport/relay/manifest"
)

func newConnection(o outside) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "connection",
		Short: "List, change, test and use connections",
		Long:  "List, change, test and use the connections of a relay, by its API.\nA connection is named by its id, its key, or its name where no other has it.",
	}
	cmd.AddCommand(newConnectionList(o), newConnectionShow(o), newConnectionCreate(o), newConnectionUpdate(o), newConnectionDelete(o),
		newConnectionTest(o), newConnectionCall(o), newConnectionHealth(o), newConnectionSession(o), newConnectionSignIn(o), newConnectionSignOut(o))
	return cmd
}

func newConnectionList(o outside) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List connections", Args: cobra.NoArgs}
	query := cmd.Flags().StringP("query", "q", "", "only those whose name contains this")
	var out output
	out.addTo(cmd)
	atRelay(cmd, o, func(ctx context.Context, c *client.Client, _ []string) error {
		if err := out.check(); err != nil {
			return err
		}
		all, err := collect(c.Connections(ctx, client.ListOptions{Query: *query}))
		if err != nil {
			return err
		}
		return out.show(o.out, all, func(w io.Writer) {
			row(w, "ID", "KEY", "NAME", "MODE", "BASE URI", "STATE", "LAST TEST")
			for _, found := range all {
				row(w, found.ID, found.Key, found.Name, found.Mode, found.BaseURI, stateOf(found.Status), lastTest(found.LastTest))
			}
		})
	})
	return cmd
}

func stateOf(s *client.ConnectionStatus) string {
	if s == nil {
		return ""
	}
	return s.State
}

func lastTest(t *client.LastTest) string {
	switch {
	case t == nil:
		return "never"
	case t.OK:
		return "ok, " + ago(&t.At)
	}
	return "failed at " + t.FailedStep + ", " + ago(&t.At)
}

func newConnectionShow(o outside) *cobra.Command {
	cmd := &cobra.Command{Use: "show CONNECTION", Short: "Show a connection", Args: cobra.ExactArgs(1)}
	out := output{}
	cmd.Flags().StringVarP(&out.format, "output", "o", "yaml", "yaml or json")
	atRelay(cmd, o, func(ctx context.Context, c *client.Client, args []string) error {
		found, err := connectionOf(ctx, c, args[0])
		if err != nil {
			return err
		}
		return out.raw(ctx, o.out, c, found.ID)
	})
	return cmd
}

// raw shows a connection with every field that the relay has for it, also one
// that this program is too old to know.
func (f *output) raw(ctx context.Context, w io.Writer, c *client.Client, id string) error {
	text, err := c.DoRaw(ctx, "GET", "/api/v1/connections/"+id, nil, nil)
	if err != nil {
		return err
	}
	if f.format == "table" {
		f.format = "yaml"
	}
	if err := f.check(); err != nil {
		return err
	}
	return f.show(w, json.RawMessage(text), nil)
}

// connectionOf is the connection of an id, a key, or a name that no other has.
func connectionOf(ctx context.Context, c *client.Client, ref string) (client.Connection, error) {
	var found client.Connection
	if strings.HasPrefix(ref, "con_") {
		found, err := c.Connection(ctx, ref)
		if err == nil || !client.Is(err, proto.CodeNotFound) {
			return found, err
		}
	}
	var named []client.Connection
	for each, err := range c.Connections(ctx, client.ListOptions{}) {
		switch {
		case err != nil:
			return found, err
		case each.Key == ref:
			return each, nil
		case each.Name == ref:
			named = append(named, each)
		}
	}
	if len(named) == 1 {
		return named[0], nil
	}
	if len(named) == 0 {
		return found, fmt.Errorf("there is no connection with the id, key or name %q: sallyport-relay connection list shows them", ref)
	}
	ids := make([]string, len(named))
	for i, each := range named {
		ids[i] = each.ID
	}
	return found, fmt.Errorf("several connections are named %q: say which by its id, %s", ref, strings.Join(ids, ", "))
}

// fileFlags are those of commands that read one connection from a file.
type fileFlags struct {
	file, secrets string
	plain         bool
}

func (f *fileFlags) addTo(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.file, "file", "f", "", "the connection as YAML or JSON; - is the standard input")
	f.addSecretsTo(cmd)
}

func (f *fileFlags) addSecretsTo(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.secrets, "secrets", "", "file with the values of secrets, by connection and secret")
	cmd.Flags().BoolVar(&f.plain, "plain-secrets", false, "let values of secrets stand in the documents themselves")
}

func (f *fileFlags) values(o outside) (manifest.Values, error) {
	values := manifest.Values{Env: o.env, Plain: f.plain}
	if f.secrets == "" {
		return values, nil
	}
	var err error
	values.Given, err = manifest.ReadSecrets(f.secrets, o.env)
	return values, err
}

// read reads the one document.
func (f *fileFlags) read(ctx context.Context, c *client.Client, o outside) (*manifest.Schema, *manifest.Document, error) {
	if f.file == "" {
		return nil, nil, errors.New("which file? Say so with -f FILE")
	}
	schema, err := manifest.FetchSchema(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	docs, err := schema.ReadFiles([]string{f.file}, o.in)
	if err != nil {
		return nil, nil, err
	}
	if len(docs) != 1 {
		return nil, nil, fmt.Errorf("%s has %d connections, and this takes one; for several: sallyport-relay apply", f.file, len(docs))
	}
	return schema, docs[0], nil
}

func newConnectionCreate(o outside) *cobra.Command {
	cmd := &cobra.Command{Use: "create -f FILE", Short: "Make a connection from a file", Args: cobra.NoArgs}
	var file fileFlags
	var out output
	file.addTo(cmd)
	out.addTo(cmd)
	atRelay(cmd, o, func(ctx context.Context, c *client.Client, _ []string) error {
		return saveFile(ctx, c, o, &file, &out, "")
	})
	return cmd
}

func newConnectionUpdate(o outside) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "update CONNECTION -f FILE",
		Short: "Replace a connection by what a file says",
		Long:  "Replace a connection by what a file says, all but the secrets that the file leaves out.",
		Args:  cobra.ExactArgs(1),
	}
	var file fileFlags
	var out output
	file.addTo(cmd)
	out.addTo(cmd)
	atRelay(cmd, o, func(ctx context.Context, c *client.Client, args []string) error {
		return saveFile(ctx, c, o, &file, &out, args[0])
	})
	return cmd
}

// saveFile saves the connection of a file: a new one, or in place of ref.
func saveFile(ctx context.Context, c *client.Client, o outside, file *fileFlags, out *output, ref string) error {
	if err := out.check(); err != nil {
		return err
	}
	var known client.Connection
	schema, doc, err := file.read(ctx, c, o)
	if err == nil && ref != "" {
		known, err = connectionOf(ctx, c, ref)
	}
	if err != nil {
		return err
	}
	values, err := file.values(o)
	if err != nil {
		return err
	}
	text, err := schema.Save(ctx, c, doc, values, known.ID, known.Version)
	if err != nil {
		return err
	}
	var saved client.Connection
	if err := json.Unmarshal(text, &saved); err != nil {
		return err
	}
	for _, warning := range saved.Warnings {
		fmt.Fprintln(o.err, "Warning:", warning)
	}
	return out.show(o.out, json.RawMessage(text), func(w io.Writer) {
		fmt.Fprintf(w, "Saved %s (%s).\n", saved.Name, cmp.Or(saved.Key, saved.ID))
	})
}

func newConnectionDelete(o outside) *cobra.Command {
	cmd := &cobra.Command{Use: "delete CONNECTION…", Short: "Delete connections", Args: cobra.MinimumNArgs(1)}
	yes := cmd.Flags().BoolP("yes", "y", false, "do not ask")
	atRelay(cmd, o, func(ctx context.Context, c *client.Client, args []string) error {
		var all []client.Connection
		for _, ref := range args {
			found, err := connectionOf(ctx, c, ref)
			if err != nil {
				return err
			}
			all = append(all, found)
			fmt.Fprintf(o.err, "- %s (%s), %s\n", found.Name, found.ID, found.BaseURI)
		}
		if err := confirm(o, *yes, "Delete? Requests through them stop working at once."); err != nil {
			return err
		}
		for _, each := range all {
			if err := c.DeleteConnection(ctx, each.ID, each.Version); err != nil {
				return err
			}
			fmt.Fprintln(o.out, "Deleted", each.Name+".")
		}
		return nil
	})
	return cmd
}
