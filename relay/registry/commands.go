package registry

import (
	"net/url"
	"strings"
)

// Commands enrol a machine and start its agent, each in the words of its
// system's shell. An empty one is not available.
type Commands struct {
	Linux   string // sh
	Windows string // PowerShell
	MacOS   string // sh
	Docker  string // no image is published yet
}

func commandsFor(relay *url.URL, code string) Commands {
	sh := func(dir string) string {
		return "sallyport-agent enroll --relay " + shQuoted(relay.String()) + " --code " + code + " --data " + dir +
			" && sallyport-agent run --data " + dir
	}
	powershell := func(dir string) string {
		return "sallyport-agent enroll --relay " + powershellQuoted(relay.String()) + " --code " + code + " --data " + dir +
			"; if ($?) { sallyport-agent run --data " + dir + " }"
	}
	return Commands{
		Linux:   sh(`"$HOME/.local/share/sallyport-agent"`),
		MacOS:   sh(`"$HOME/Library/Application Support/sallyport-agent"`),
		Windows: powershell(`"$env:LOCALAPPDATA\sallyport-agent"`),
	}
}

// plainLetters mean themselves in every shell.
const plainLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/.-_~%"

func isPlain(s string) bool { return strings.Trim(s, plainLetters) == "" }

func shQuoted(s string) string {
	if isPlain(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func powershellQuoted(s string) string {
	if isPlain(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}
