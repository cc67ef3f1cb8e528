package web

import (
	"strings"

	"sallyport/proto"
	"sallyport/relay/registry"
)

// causeText is why a machine was offline, by what it found out itself.
func causeText(e registry.Happening) string {
	words := map[proto.OfflineCause]string{
		proto.CauseStopped:        "The agent was stopped",
		proto.CauseCrashed:        "The agent ended without a word: it was killed, or it crashed",
		proto.CauseRebooted:       "The machine was restarted",
		proto.CauseSlept:          "The machine was asleep",
		proto.CauseNoNetwork:      "The machine had no network",
		proto.CauseDNS:            "The machine did not find the relay’s name",
		proto.CauseUnreachable:    "The machine could not reach the relay",
		proto.CauseCertificate:    "The machine did not trust the relay’s certificate",
		proto.CauseProxy:          "The site’s proxy did not let it through",
		proto.CauseProxyAuth:      "The site’s proxy wanted a login",
		proto.CauseDenied:         "Something on the way to the relay denied access",
		proto.CauseBusy:           "The relay, or what stands before it, was busy",
		proto.CauseNotRelay:       "Another server answered in place of the relay",
		proto.CauseRefused:        "The relay refused the machine",
		proto.CauseSuperseded:     "Another machine that has the same identity took its place",
		proto.CauseConnectionLost: "The connection broke",
	}[proto.OfflineCause(e.Cause)]
	if words == "" {
		words = "The machine says: " + strings.ReplaceAll(e.Cause, "_", " ")
	}
	if e.Detail != "" {
		return words + " (" + e.Detail + ")."
	}
	return words + "."
}
