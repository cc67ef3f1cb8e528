package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/relay/client"
	"sallyport/relay/manifest"
)

// changesStatus is the exit status of a dry run that found changes.
const changesStatus = 2

func newApply(o outside) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply -f FILE|DIR",
		Short: "Make a relay's connections what files say",
		Long: `Make a relay's connections what files say: YAML or JSON of the API's own shape, several documents in a file, and
of a directory every .yaml, .yml and .json below it. The changes are shown first, and done when you say so.

A document is about the connection that has its key or, without one, its name. Agents are named: "agent: Plant 2".
Secrets stand as ${env:NAME} or ${file:PATH}, or come from a file with --secrets. docs/as-code.md tells it all.

Exit status: 0 done, or nothing to do; 1 something failed; with --dry-run, 2 where there are changes.`,
		Args: cobra.NoArgs,
	}
	var files []string
	var secrets fileFlags
	var dryRun, yes bool
	var options manifest.Options
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVarP(&files, "file", "f", nil, "file or directory; - is the standard input; may be repeated")
	secrets.addSecretsTo(cmd)
	flags.BoolVar(&dryRun, "dry-run", false, "show the changes and do nothing")
	flags.BoolVarP(&yes, "yes", "y", false, "do not ask")
	flags.StringVar(&options.Owner, "owner", "", "who keeps these documents, such as the repository's name: the managedBy of what is applied")
	flags.BoolVar(&options.Prune, "prune", false, "delete the owner's connections that no document describes, and nobody else's")
	flags.BoolVar(&options.TakeOver, "take-over", false, "change connections that another owner keeps, too")
	atRelay(cmd, o, func(ctx context.Context, c *client.Client, _ []string) error {
		if len(files) == 0 {
			return errors.New("which files? Say so with -f FILE or -f DIR")
		}
		if options.Prune && options.Owner == "" {
			return errors.New("--prune deletes what one owner keeps: say whose with --owner NAME")
		}
		var err error
		if options.Values, err = secrets.values(o); err != nil {
			return err
		}
		plan, err := planFiles(ctx, c, o, files, options)
		if err != nil {
			return err
		}
		showPlan(o, plan)
		switch {
		case !plan.Changed():
			return nil
		case dryRun:
			return exitStatus(changesStatus)
		}
		if err := confirm(o, yes, "Apply?"); err != nil {
			return err
		}
		return carryOut(ctx, o, plan)
	})
	return cmd
}

func planFiles(ctx context.Context, c *client.Client, o outside, files []string, options manifest.Options) (*manifest.Plan, error) {
	schema, err := manifest.FetchSchema(ctx, c)
	if err != nil {
		return nil, err
	}
	docs, err := schema.ReadFiles(files, o.in)
	if err != nil && !errors.As(err, &options.Found) {
		return nil, err
	}
	if err == nil && options.Prune && len(docs) == 0 { // whatever was to write them has failed
		return nil, fmt.Errorf("nothing was changed: %s describe no connection, and --prune would delete all that %s keeps; if that is meant: sallyport-relay connection delete",
			strings.Join(files, ", "), options.Owner)
	}
	plan, err := schema.NewPlan(ctx, c, docs, options)
	return plan, nothingChanged(err)
}

// nothingChanged shows the faults of files, each on its line.
func nothingChanged(err error) error {
	var faults manifest.Faults
	if errors.As(err, &faults) {
		return fmt.Errorf("nothing was changed:\n%w", faults)
	}
	return err
}

func showPlan(o outside, plan *manifest.Plan) {
	for _, c := range plan.Changes {
		sign := map[manifest.Action]string{manifest.Create: "+", manifest.Update: "~", manifest.Delete: "-"}[c.Action]
		if c.Action == manifest.Keep {
			continue
		}
		fmt.Fprintf(o.out, "%s %s%s\n", sign, c.Title, from(c))
		for _, d := range c.Differences {
			fmt.Fprintf(o.out, "    %s\n", onTerminal(strings.Join(d.Lines(), "\n    ")))
		}
		for _, warning := range c.Warnings {
			fmt.Fprintf(o.out, "    ! %s\n", warning)
		}
	}
	fmt.Fprintf(o.out, "%d to create, %d to change, %d to delete, %d as they are.\n",
		plan.Count(manifest.Create), plan.Count(manifest.Update), plan.Count(manifest.Delete), plan.Count(manifest.Keep))
}

// from is where a change comes from.
func from(c manifest.Change) string {
	if c.Document == nil {
		return ", no longer in the files"
	}
	return fmt.Sprintf(", %s:%d", c.Document.File, c.Document.Line)
}

func carryOut(ctx context.Context, o outside, plan *manifest.Plan) error {
	done := map[manifest.Action]string{manifest.Create: "Created", manifest.Update: "Changed", manifest.Delete: "Deleted"}
	failed := plan.Apply(ctx, func(c manifest.Change, err error) {
		if err != nil {
			fmt.Fprintf(o.err, "Failed: %s%s: %v\n", c.Title, from(c), inTheirWords(err))
			return
		}
		fmt.Fprintf(o.out, "%s %s.\n", done[c.Action], c.Title)
	})
	if failed > 0 {
		return fmt.Errorf("%d of %d changes failed; apply again when their causes are mended", failed, len(plan.Changes)-plan.Count(manifest.Keep))
	}
	return nil
}

func newExport(o outside) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export [CONNECTION…]",
		Short: "Write connections as files that apply takes",
		Long:  "Write all connections, or the named ones, as YAML that apply takes back without a change. Secrets can't be read:\nthey stand as {set: true}, which keeps what the relay has.",
	}
	var owner, file, format string
	cmd.Flags().StringVar(&owner, "owner", "", "only what this owner keeps")
	cmd.Flags().StringVarP(&file, "file", "f", "", "write to this file in place of the standard output")
	cmd.Flags().StringVarP(&format, "output", "o", "yaml", "yaml or json")
	atRelay(cmd, o, func(ctx context.Context, c *client.Client, args []string) error {
		if format != "yaml" && format != "json" {
			return fmt.Errorf("--output %s: there are yaml and json", format)
		}
		schema, err := manifest.FetchSchema(ctx, c)
		if err != nil {
			return err
		}
		text, err := schema.Export(ctx, c, manifest.Select{Owner: owner, Only: args}, format == "json")
		if err != nil {
			return err
		}
		if file != "" {
			return os.WriteFile(file, text, 0o644)
		}
		_, err = o.out.Write(text)
		return err
	})
	return cmd
}
