package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"sallyport/relay/manifest"
)

// output is how a command shows what it has found.
type output struct{ format string }

func (f *output) addTo(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.format, "output", "o", "table", "table, json or yaml")
}

// check refuses a format that there is not, before anything is done.
func (f *output) check() error {
	switch f.format {
	case "table", "json", "yaml":
		return nil
	}
	return fmt.Errorf("--output %s: there are table, json and yaml", f.format)
}

// show writes value for programs, or what table writes for people.
func (f *output) show(w io.Writer, value any, table func(w io.Writer)) error {
	if f.format == "table" {
		columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		table(columns)
		return columns.Flush()
	}
	text, err := json.MarshalIndent(value, "", "  ")
	if err == nil && f.format == "yaml" {
		text, err = manifest.YAML(text)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, strings.TrimRight(string(text), "\n"))
	return err
}

// onTerminal is text without what a terminal takes for a command: applications
// and machines may have put such into what they answer. A line break stays.
func onTerminal(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return ' '
		}
		return r
	}, text)
}

// row writes the cells of a line; empty ones are shown as a dash.
func row(w io.Writer, cells ...any) {
	for i, cell := range cells {
		text := fmt.Sprint(cell)
		if text == "" {
			text = "–"
		}
		cells[i] = strings.ReplaceAll(onTerminal(text), "\n", " ")
	}
	fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf(strings.Repeat("%s\t", len(cells)), cells...), "\t"))
}

func ago(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// collect is a whole list, empty rather than nil: it may be shown as JSON.
func collect[T any](list iter.Seq2[T, error]) ([]T, error) {
	all := []T{}
	for one, err := range list {
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}
