package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"sallyport/agent/config"
	"sallyport/agent/policy"
)

func newPolicy(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "What the relay may reach through this agent: show, check, allow, suggest",
		Long:  "Show the rules under policy: in agent.yaml, explain what they decide, add one, or have them suggested. No agent has to run for it.",
	}
	cmd.AddCommand(newPolicyShow(w), newPolicyCheck(w), newPolicyAllow(w), newPolicySuggest(w))
	return cmd
}

// addRules gives a command the flags by which agent.yaml is found.
func addRules(cmd *cobra.Command, w World) func() (config.Sources, config.Config, *policy.Policy, error) {
	sources := addSources(cmd, w, "data")
	return func() (config.Sources, config.Config, *policy.Policy, error) {
		s := sources()
		c, err := config.Load(s)
		if err != nil {
			return s, c, nil, permitted(err)
		}
		if s.File == "" && c.DataDir == "" {
			return s, c, nil, errors.New("whose policy? Give --data DIR or --config FILE, or set SALLYPORT_DATA")
		}
		p, err := c.Policy.Compile()
		return s, c, p, err
	}
}

func newPolicyShow(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show [--data DIR]",
		Short: "Print the rules as they are understood",
		Args:  cobra.NoArgs,
	}
	load := addRules(cmd, w)
	asJSON := cmd.Flags().Bool("json", false, "print JSON for programs")
	cmd.RunE = func(*cobra.Command, []string) error {
		s, _, p, err := load()
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(w.Out, shownPolicy(s.Path(), p))
		}
		fmt.Fprintf(w.Out, "%s, version %s\n\n", cmp.Or(s.Path(), "no "+config.FileName), p.Version())
		table := tabwriter.NewWriter(w.Out, 0, 8, 2, ' ', 0)
		for _, r := range p.Rules() {
			fmt.Fprintf(table, "  %d\tline %d\t%s\n", r.Number(), r.Line(), r)
		}
		fmt.Fprintf(table, "  \tdefault\t%s\n", p.Default())
		if err := table.Flush(); err != nil {
			return err
		}
		if warning := p.Warning(); warning != "" {
			fmt.Fprintf(w.Out, "\nWarning: %s\n", warning)
		}
		return nil
	}
	return cmd
}

// policyShown is what `policy show --json` prints.
type policyShown struct {
	File    string     `json:"file,omitempty"`
	Version string     `json:"version"`
	Default string     `json:"default"`
	Warning string     `json:"warning,omitempty"`
	Rules   []ruleLine `json:"rules"`
}

type ruleLine struct {
	Number int    `json:"number"`
	Line   int    `json:"line"`
	Rule   string `json:"rule"`
}

func shownPolicy(file string, p *policy.Policy) policyShown {
	out := policyShown{File: file, Version: p.Version(), Default: p.Default(), Warning: p.Warning(), Rules: []ruleLine{}}
	for _, r := range p.Rules() {
		out.Rules = append(out.Rules, ruleLine{r.Number(), r.Line(), r.String()})
	}
	return out
}

func newPolicyAllow(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "allow RULE [--data DIR]",
		Short: "Add an allow rule to agent.yaml",
		Long: "Add a rule to the policy in agent.yaml; the rest of the file stays as it is. It goes to the end, or above the rule that would else deny what it allows.\n\n" +
			"RULE is [allow] [METHODS] SCHEME://HOST[:PORTS][/PATH] [rate=50/s] [body=10MB], as one argument or several.",
		Example: "  sallyport-agent policy allow 'GET,POST https://erp.plant2.internal:8443/api/**'",
		Args:    cobra.MinimumNArgs(1),
	}
	load := addRules(cmd, w)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		s, c, before, err := load()
		if err != nil {
			return err
		}
		rule, err := policy.ParseAllow(joined(args))
		if err != nil {
			return err
		}
		path := cmp.Or(s.File, s.Path(), filepath.Join(c.DataDir, config.FileName))
		line, added, err := config.AddRule(path, rule)
		if err != nil {
			return err
		}
		if !added {
			fmt.Fprintf(w.Out, "%s, line %d, has it already: %s\n", path, line, rule)
			return nil
		}
		fmt.Fprintf(w.Out, "Added to %s, line %d: %s\n", path, line, rule)
		if before.Open() && len(before.Rules()) == 0 {
			fmt.Fprintln(w.Out, "It is the first rule: everything else is denied then.")
		}
		fmt.Fprintln(w.Out, "An agent that runs takes it at once.")
		return nil
	}
	return cmd
}

func joined(args []string) string {
	text := ""
	for _, a := range args {
		text += a + " "
	}
	return text
}

func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
