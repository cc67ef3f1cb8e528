package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sallyport/agent/config"
	"sallyport/agent/control"
	"sallyport/agent/link"
)

// configuration finds out which relay is meant, and whether the settings for
// the way to it can be used.
func (e *examination) configuration() {
	// A faulty identity file is told of by the next check.
	if id, err := config.LoadIdentity(e.Config.DataDir); e.Config.DataDir != "" && err == nil {
		e.enrolled = &id
	}
	r := e.check(CheckConfiguration, "", func(r *Result) {
		settings := "no configuration file"
		if e.ConfigFile != "" {
			settings = "settings from " + e.ConfigFile
			r.Facts["file"] = e.ConfigFile
		}
		if e.ConfigErr != nil {
			r.fail("The configuration can't be used: "+e.ConfigErr.Error()+".", "Correct it, then run doctor again.")
			return
		}
		address, from := e.Config.Relay, e.RelayFrom
		if address == "" && e.enrolled != nil {
			address, from = e.enrolled.Relay, "the enrolment"
		}
		if address == "" {
			r.fail("No relay is named.", "Give --relay URL, set SALLYPORT_RELAY, or name the data directory of an enrolled agent with --data DIR.")
			return
		}
		r.Facts["relayFrom"] = from
		if err := e.useRelay(address); err != nil {
			r.fail(sentence(err.Error()), "Give the relay's URL as its pages show it under Agents, Install an agent.")
			return
		}
		r.Facts["relay"] = e.relay.String()
		if e.relay.Scheme == "http" && !isLoopback(e.relay.Hostname()) {
			r.warn(fmt.Sprintf("The relay %s (from %s) is used without TLS: all that goes through the tunnel can be read on the way.", e.relay, from), "Use the relay's https address.")
			return
		}
		r.pass(fmt.Sprintf("The relay is %s (from %s); %s.", e.relay, from, settings))
	})
	if r.Status == Fail {
		e.blocked = CheckConfiguration
	}
}

func (e *examination) useRelay(address string) error {
	relay, err := config.ParseRelay(address)
	if err != nil {
		return err
	}
	e.relay = relay // so that the report names it, allowed or not
	return link.CheckRelay(relay, e.Config.AllowPlaintextRelay)
}

// enrolment looks at the identity file.
func (e *examination) enrolment() {
	dir := e.Config.DataDir
	if dir == "" {
		e.skip(CheckEnrolment, "", "no data directory is named; add --data DIR to have it looked at")
		return
	}
	e.check(CheckEnrolment, filepath.Join(dir, config.IdentityFile), func(r *Result) {
		r.Facts["enrolled"] = false
		id, err := config.LoadIdentity(dir)
		switch {
		case errors.Is(err, config.ErrNotEnrolled):
			r.warn(fmt.Sprintf("This machine is not enrolled: there is no %s in %s.", config.IdentityFile, dir),
				"Once the other checks pass, take a code from the relay's page Agents and run: sallyport-agent enroll --relay URL --code CODE --data "+dir)
			return
		case errors.Is(err, fs.ErrPermission):
			r.fail(sentence(err.Error()), "Run doctor as the user that the agent runs as, or as an administrator.")
			return
		case err != nil:
			r.fail(sentence(err.Error()), "Make the file readable by its owner alone, or enrol this machine again with --replace.")
			return
		}
		r.Facts["enrolled"], r.Facts["agent"], r.Facts["agentId"] = true, id.AgentName, id.AgentID
		r.Facts["instanceId"], r.Facts["relay"] = id.InstanceID, id.Relay
		if e.relay != nil && !strings.EqualFold(id.Relay, e.relay.String()) {
			r.warn(fmt.Sprintf("Enrolled as agent %q at %s, which is not the relay looked at here, %s.", id.AgentName, id.Relay, e.relay),
				"Leave --relay out to look at the relay of the enrolment, or enrol at the other one with --replace.")
			return
		}
		r.pass(fmt.Sprintf("Enrolled as agent %q at %s; only its owner can read the key.", id.AgentName, id.Relay))
	})
}

// agent asks the agent that runs here how it is. That is also how an enrolled
// machine's handshake is seen: one of doctor's own would take a tunnel away.
func (e *examination) agent(ctx context.Context) {
	if e.enrolled == nil {
		e.skip(CheckAgent, "", "no enrolment is known, so none can be running")
		return
	}
	e.check(CheckAgent, e.enrolled.AgentName, func(r *Result) {
		status, err := control.Ask(ctx, e.Config.DataDir)
		if errors.Is(err, control.ErrNotRunning) {
			r.Facts["state"] = "not_running"
			r.warn("The agent is not running.", "Start it: sallyport-agent run --data "+e.Config.DataDir)
			return
		}
		if err != nil {
			r.fail(sentence(err.Error()), "Run doctor as the user that the agent runs as; if it hangs, restart it.")
			return
		}
		r.Facts["state"], r.Facts["tunnels"], r.Facts["latencyMs"] = status.State, len(status.Tunnels), status.LatencyMs
		r.Facts["version"], r.Facts["inFlight"] = status.Version, status.InFlight
		age := ""
		if !status.Since.IsZero() {
			r.Facts["since"] = status.Since
			age = " for " + max(time.Since(status.Since), 0).Round(time.Second).String()
		}
		if status.LastError != "" {
			r.Facts["lastError"] = status.LastError
		}
		switch status.State {
		case link.StateOnline:
			r.pass(fmt.Sprintf("The agent has been online%s: %d tunnels, %.1f ms to the relay.", age, len(status.Tunnels), status.LatencyMs))
		case link.StateConnecting:
			r.warn("The agent has just begun to connect.", "Run doctor again in a minute; meanwhile the checks below show the way that it goes.")
		case link.StateRefused:
			r.fail("The relay refuses this machine: "+status.LastError+".", "Enrol it again with a new code: sallyport-agent enroll --replace; the relay's page Agents shows whether it was revoked.")
		default:
			r.fail(fmt.Sprintf("The agent runs, but has been %s%s: %s.", status.State, age, cmp.Or(status.LastError, "it does not say why")),
				"Mend what the checks below report; if they all pass, wait for its next attempt or restart it.")
		}
	})
}

// sentence is the text of an error as a sentence. A first word that is a host stays as it
// is.
func sentence(text string) string {
	text = strings.TrimRight(text, ". \n")
	first, _, _ := strings.Cut(text, " ")
	if first == "" || first == "localhost" || strings.ContainsAny(first, ".:/") {
		return text + "."
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}
