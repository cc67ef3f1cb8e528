package cli

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
)

// again writes flags that a command was given, each with a blank before it, for a
// command that is proposed next. A password within a URL is left for the reader to write.
func again(cmd *cobra.Command, names ...string) string {
	var b strings.Builder
	for _, name := range names {
		f := cmd.Flags().Lookup(name)
		if f == nil || !f.Changed {
			continue
		}
		value := f.Value.String()
		if u, err := url.Parse(value); err == nil && u.User != nil {
			value = u.Redacted()
		}
		switch {
		case f.Value.Type() == "bool":
			fmt.Fprintf(&b, " --%s=%s", name, value)
		case strings.ContainsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("'\"\\$`*?&;|<>()#~!", r) }):
			fmt.Fprintf(&b, " --%s '%s'", name, strings.ReplaceAll(value, "'", `'\''`))
		default:
			fmt.Fprintf(&b, " --%s %s", name, value)
		}
	}
	return b.String()
}

// named are the flags by which a command names the agent that it is about.
var named = []string{"data", "instance", "config"}
