package download

import (
	_ "embed"
	"net/http"
	"strings"
)

//go:embed install.sh
var shellScript string

//go:embed install.ps1
var powerShellScript string

// place is what stands in the scripts for the relay's address, as a word of
// their language.
const place = "'https://relay.invalid'"

// script serves an install script with this relay's address in it.
func (s *Shelf) script(text string, quoted func(string) string, media string) http.HandlerFunc {
	text = strings.Replace(text, place, quoted(s.PublicURL.String()), 1)
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", media)
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write([]byte(text))
	}
}

// shQuoted is s as one word of a POSIX shell.
func shQuoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// powerShellQuoted is s as a string of PowerShell, in which nothing is
// expanded. PowerShell takes typographic quotes for quotes too.
func powerShellQuoted(s string) string {
	return "'" + strings.NewReplacer("'", "''", "‘", "‘‘", "’", "’’", "‚", "‚‚", "‛", "‛‛").Replace(s) + "'"
}
