package cli

import (
	"cmp"
	"strconv"
	"time"

	"sallyport/agent/control"
	"sallyport/agent/link"
	"sallyport/agent/policy"
	"sallyport/agent/service"
	"sallyport/internal/buildinfo"
)

// health is how the agent is, for the service manager.
func (a *agent) health() service.Health {
	st := a.link.Status()
	switch st.State {
	case link.StateOnline:
		return service.Health{Online: true, Text: "online as agent " + strconv.Quote(st.AgentName) + " at " + a.relay}
	case link.StateConnecting:
		return service.Health{Text: "connecting to " + a.relay}
	}
	return service.Health{Text: cmp.Or(st.LastError, st.State)}
}

func (a *agent) status() control.Status {
	st := a.link.Status()
	out := control.Status{
		State: st.State, Agent: cmp.Or(st.AgentName, a.identity.AgentName), AgentID: a.identity.AgentID, InstanceID: a.identity.InstanceID,
		Relay: a.relay, Tunnels: []control.Tunnel{}, LatencyMs: st.LatencyMs, LastError: st.LastError, Since: st.Since, RetryAt: st.RetryAt,
		Version: buildinfo.Version(), UptimeSeconds: int64(time.Since(a.started).Seconds()),
		InFlight: a.forwarder.InFlight(), ClockOffsetMs: st.ClockOffsetMs,
	}
	out.EarlierError, out.EarlierErrorAt = st.EarlierError, st.EarlierErrorAt
	out.Policy = policyStatus(a.policy.Policy())
	out.Secrets = secretStatus(a.secrets)
	a.tellConfig(&out)
	a.records.tell(&out)
	for _, t := range st.Tunnels {
		out.Tunnels = append(out.Tunnels, control.Tunnel{ID: t.ID, ConnectedAt: t.Since, LatencyMs: t.LatencyMs, InFlight: t.InFlight})
	}
	return out
}

func policyStatus(p *policy.Policy) *control.Policy {
	return &control.Policy{Version: p.Version(), Rules: len(p.Rules()), Default: p.Default(), Warning: p.Warning()}
}
