package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"sallyport/agent/policy"
)

func newPolicySuggest(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "suggest FILE...",
		Short: "Suggest rules for what was sent up to now, from files of the ledger",
		Long: "Read files of the ledger (- is standard input) and print, ready for agent.yaml, few rules that allow requests like those that were answered. " +
			"Ids in paths become *, and folders with many paths **. Read what it prints before you use it.",
		Args: cobra.MinimumNArgs(1),
	}
	denied := cmd.Flags().Bool("denied", false, "suggest rules for what was denied instead")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		filter := policy.Answered
		if *denied {
			filter = func(sent *policy.Sent) bool { return sent.Decision == "denied" }
		}
		s := &policy.Suggester{}
		for _, name := range args {
			if err := readLedger(s, name, w.In, filter); err != nil {
				return err
			}
		}
		return printSuggestions(w.Out, s)
	}
	return cmd
}

func readLedger(s *policy.Suggester, name string, in io.Reader, filter func(*policy.Sent) bool) error {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	if err := s.ReadLines(in, filter); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func printSuggestions(out io.Writer, s *policy.Suggester) error {
	suggestions := s.Suggest()
	if len(suggestions) == 0 {
		return errors.New("no request to suggest a rule for")
	}
	fmt.Fprintln(out, "policy:\n  rules:")
	for _, sg := range suggestions {
		fmt.Fprintf(out, "    # %s, the last on %s\n    - %s\n", counted(sg.Requests, "request"), sg.Last.Format("2006-01-02"), sg.Rule)
	}
	if n := s.Skipped(); n > 0 {
		fmt.Fprintf(out, "# Left out: %s whose path no rule can name.\n", counted(n, "request"))
	}
	return nil
}
