package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sallyport/agent/ledger"
	"sallyport/agent/linefile"
	"sallyport/agent/policy"
)

func newPolicySuggest(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "suggest [FILE...]",
		Short: "Suggest rules for what was sent up to now, from the ledger",
		Long: "Read the agent's ledger, or the files of one that are named (- is standard input), and print, ready for agent.yaml, few rules that allow requests like those that were answered. " +
			"Ids in paths become *, and folders with many paths **. Read what it prints before you use it.",
	}
	dataDir := addDataDir(cmd, w)
	denied := cmd.Flags().Bool("denied", false, "suggest rules for what was denied instead")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		filter := policy.Answered
		if *denied {
			filter = func(sent *policy.Sent) bool { return sent.Decision == "denied" }
		}
		if len(args) == 0 {
			dir, err := dataDir()
			if err != nil {
				return err
			}
			path := filepath.Join(dir, ledger.File)
			if args, err = linefile.Files(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return permitted(err)
			}
			if len(args) == 0 {
				return fmt.Errorf("there is no %s: no request has come yet, or the agent has another data directory (--data)", path)
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

func readLedger(s *policy.Suggester, name string, in io.Reader, filter func(*policy.Sent) bool) error {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return permitted(err)
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
	passed := s.Unreadable()
	switch {
	case len(suggestions) == 0 && passed > 0:
		return fmt.Errorf("no request to suggest a rule for; %s passed over, which are no whole entries of a ledger", counted(passed, "line"))
	case len(suggestions) == 0:
		return errors.New("no request to suggest a rule for")
	}
	fmt.Fprintln(out, "policy:\n  rules:")
	for _, sg := range suggestions {
		fmt.Fprintf(out, "    # %s, the last on %s\n    - %s\n", counted(sg.Requests, "request"), sg.Last.Format("2006-01-02"), sg.Rule)
	}
	if n := s.Skipped(); n > 0 {
		fmt.Fprintf(out, "# Left out: %s whose path no rule can name.\n", counted(n, "request"))
	}
	if passed > 0 {
		fmt.Fprintf(out, "# Passed over: %s that are no whole entries of a ledger, as a full disk leaves them.\n", counted(passed, "line"))
	}
	return nil
}
