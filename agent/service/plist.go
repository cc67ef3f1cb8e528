package service

import (
	"encoding/xml"
	"strings"
)

// Plist is the launchd job of an agent: a daemon that starts with the machine
// and is started again unless it ended in order.
func Plist(l Layout, binary string) string {
	var args strings.Builder
	for _, a := range append([]string{binary}, l.Args()...) {
		args.WriteString("\t\t<string>" + xmlText(a) + "</string>\n")
	}
	return strings.NewReplacer(
		"LABEL", xmlText(l.Service),
		"ARGUMENTS", args.String(),
		"ACCOUNT", xmlText(l.Account),
		"DATA", xmlText(l.DataDir),
	).Replace(plistText)
}

// ThrottleInterval is in seconds, the least that launchd takes without
// complaint; ExitTimeOut is how long requests under way may go on. 63 is 077.
// What the program prints goes where its account can write; its log proper
// is its own affair.
const plistText = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key>
	<string>LABEL</string>
	<key>ProgramArguments</key>
	<array>
ARGUMENTS	</array>
	<key>UserName</key>
	<string>ACCOUNT</string>
	<key>GroupName</key>
	<string>ACCOUNT</string>
	<key>InitGroups</key>
	<true/>
	<key>RunAtLoad</key>
	<true/>
	<key>KeepAlive</key>
	<dict>
		<key>SuccessfulExit</key>
		<false/>
	</dict>
	<key>ThrottleInterval</key>
	<integer>5</integer>
	<key>ExitTimeOut</key>
	<integer>25</integer>
	<key>ProcessType</key>
	<string>Interactive</string>
	<key>WorkingDirectory</key>
	<string>DATA</string>
	<key>Umask</key>
	<integer>63</integer>
	<key>SoftResourceLimits</key>
	<dict>
		<key>NumberOfFiles</key>
		<integer>65536</integer>
	</dict>
	<key>StandardErrorPath</key>
	<string>DATA/launchd.log</string>
</dict>
</plist>
`

func xmlText(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder does not fail
	return b.String()
}
