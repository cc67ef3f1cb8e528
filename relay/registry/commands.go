package registry

import (
	"net/url"
	"strings"
)

// Commands install an agent on a machine, each in the words of its system's
// shell. An empty one is not available.
type Commands struct {
	Linux   string // sh
	Windows string // PowerShell
	MacOS   string // sh
	Docker  string // sh
}

// Installable are the systems that the relay has an agent's program for, to
// download.
type Installable struct{ Linux, Windows, MacOS, Docker bool }

// commandsFor are the commands that fetch the agent from the relay and install
// it. Where the relay has no program for a system, the command enrols and runs
// the one that has to be there already.
func commandsFor(relay *url.URL, code string, fetched Installable) Commands {
	c := Commands{
		Linux:   runByHand(relay, code, `"$HOME/.local/share/sallyport-agent"`),
		MacOS:   runByHand(relay, code, `"$HOME/Library/Application Support/sallyport-agent"`),
		Windows: runByHandOnWindows(relay, code, `"$env:LOCALAPPDATA\sallyport-agent"`),
	}
	script := "curl -fsSL " + shQuoted(relay.JoinPath("install.sh").String()) + " | sudo sh -s -- --code " + code
	if fetched.Linux {
		c.Linux = script
	}
	if fetched.MacOS {
		c.MacOS = script
	}
	if fetched.Windows {
		// Windows Server 2016 and older speak TLS 1.2 only when told to.
		c.Windows = "[Net.ServicePointManager]::SecurityProtocol = 'Tls12'; & ([scriptblock]::Create((irm " +
			powershellQuoted(relay.JoinPath("install.ps1").String()) + "))) -Code " + code
	}
	if fetched.Docker {
		c.Docker = inContainer(relay, code)
	}
	return c
}

func runByHand(relay *url.URL, code, dir string) string {
	return "sallyport-agent enroll --relay " + shQuoted(relay.String()) + " --code " + code + " --data " + dir +
		" && sallyport-agent run --data " + dir
}

func runByHandOnWindows(relay *url.URL, code, dir string) string {
	return "sallyport-agent enroll --relay " + powershellQuoted(relay.String()) + " --code " + code + " --data " + dir +
		"; if ($?) { sallyport-agent run --data " + dir + " }"
}

// inContainer loads the image for the processor of the Docker server, and runs
// it with a volume for its identity. The code is used at the first start.
func inContainer(relay *url.URL, code string) string {
	image := shQuoted(relay.JoinPath("downloads/sallyport-agent-image-").String()) + `"$(docker version -f '{{.Server.Arch}}')".tar`
	return "curl -fsSL " + image + " | docker load && docker run -d --name sallyport-agent --restart unless-stopped" +
		` --hostname "$(hostname)" -v sallyport-agent:/var/lib/sallyport-agent` +
		" -e SALLYPORT_RELAY=" + shQuoted(relay.String()) + " -e SALLYPORT_CODE=" + code + " sallyport-agent"
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
