package main

import (
	"fmt"
	"strings"
)

// The account of the sample application.
const (
	sampleUser     = "svc"
	samplePassword = "warehouse-9"
)

// welcome is what a person reads when everything is up: where to sign in, and
// what to fill in to see a first green Test.
func welcome(base, link string, samplePort int, tokenFile string) string {
	rule := strings.Repeat("─", 78)
	return fmt.Sprintf(`
%[1]s
Sallyport is up. Sign in with this link (it works once):

    %[2]s

Then open Connections ▸ New connection and fill in:

    Name                  Warehouse
    Mode                  On-premise
    Agent                 %[3]s
    Authentication type   Cookie
    Base URI              http://127.0.0.1:%[4]d/api
    Media type            JSON
    Cookie method         POST
    Cookie URI            /session
    Cookie body           {"user":"%[5]s","password":"{{secret.password}}"}
    Secret "password"     %[6]s
    Ping method           GET
    Ping URI              /me
    Ping success path     ok
    Ping success values   true

Press Test, then Save. Send a request through the saved connection:

    curl -H "Authorization: Bearer $(cat %[7]s)" \
         %[8]s/api/v1/connections/ID/proxy/orders

API reference: %[8]s/docs
Ctrl-C stops everything.
%[1]s

`, rule, link, agentName, samplePort, sampleUser, samplePassword, tokenFile, base)
}

// pausedText is what a person reads whose agent refuses every request, since it
// was paused an earlier time.
func pausedText(agent, data string) string {
	return fmt.Sprintf("The agent is paused, and refuses every request. To resume it:\n\n    %s resume --data %s\n\n", agent, data)
}
