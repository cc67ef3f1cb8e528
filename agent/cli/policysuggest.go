package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"sallyport/agent/policy"
)

func newPolicySuggest(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "suggest [FILE...]",
		Short: "Suggest rules for what was sent up to now, from the ledger",
		Long: "Read the agent's ledger, or the files of one that are named (- is standard input), and print, ready for agent.yaml, few rules that allow requests like those that were answered. " +
			"Ids in paths become *, and folders with many paths **. Read what it prints before you use it.",
	}
	load := addRules(cmd, w)
	denied := cmd.Flags().Bool("denied", false, "suggest rules for what was denied instead")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		filter := policy.Answered
		if *denied {
			filter = func(sent *policy.Sent) bool { return sent.Decision == "denied" }
		}
		if len(args) == 0 {
			_, c, _, err := load()
			if err != nil {
				return err
			}
			if args, err = ledgerFiles(c.DataDir); err != nil {
				return err
			}
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

// ledgerFiles are the files of the agent's ledger, those that were set aside
// before the one that is written.
func ledgerFiles(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "ledger-*.jsonl"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files) // their names have the time
	if current := filepath.Join(dir, "ledger.jsonl"); len(files) == 0 || exists(current) {
		files = append(files, current)
	}
	return files, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
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
