package service

import (
	"path"
	"strings"
)

// Unit is the systemd unit of an agent. It is readable by every user of the
// machine, and so holds no secret.
//
// What the agent may do is bounded twice: here, by what the kernel lets its
// process do to the machine, and in agent.yaml, by what the relay may reach
// through it.
func Unit(l Layout, binary string) string {
	args := make([]string, 0, 8)
	for _, a := range append([]string{binary}, l.Args()...) {
		args = append(args, unitQuoted(a))
	}
	return strings.NewReplacer(
		"TITLE", unitEscaped(l.Title),
		"SERVICE", l.Service,
		"ACCOUNT", l.Account,
		"COMMAND", strings.Join(args, " "),
		"STATE", path.Base(l.DataDir),
		"CONFIGURATION", path.Base(l.ConfigDir),
	).Replace(unitText)
}

const unitText = `# Written by "sallyport-agent install", and written anew when it runs again.
# Changes of your own belong in a drop-in: systemctl edit SERVICE

[Unit]
Description=TITLE
Wants=network-online.target
After=network-online.target nss-lookup.target
# It is never given up: the relay may be away for days.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart=COMMAND
# Not /bin/kill: small systems have none.
ExecReload=/bin/sh -c "kill -HUP $MAINPID"
Restart=on-failure
RestartSec=2
TimeoutStartSec=60
# Requests under way have 15 s to end.
TimeoutStopSec=25
WatchdogSec=60

User=ACCOUNT
Group=ACCOUNT
StateDirectory=STATE
StateDirectoryMode=0700
ConfigurationDirectory=CONFIGURATION
ConfigurationDirectoryMode=0750
UMask=0077
LimitNOFILE=65536

# It reads its configuration and the system's trust store, writes its state,
# and opens connections. Everything else is taken away.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
DevicePolicy=closed
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`

// unitEscaped keeps systemd from reading specifiers in a text.
func unitEscaped(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// unitQuoted is one word of a command line (systemd.service(5), "Command
// lines"): in quotes where it needs them, with nothing expanded.
func unitQuoted(s string) string {
	s = strings.NewReplacer("%", "%%", "$", "$$", `\`, `\\`, `"`, `\"`).Replace(s)
	if strings.ContainsAny(s, " \t'\"") {
		return `"` + s + `"`
	}
	return s
}
