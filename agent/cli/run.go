package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"sallyport/agent/config"
	"sallyport/agent/control"
	"sallyport/agent/forward"
	"sallyport/agent/link"
	"sallyport/agent/policy"
	"sallyport/agent/service"
	"sallyport/internal/buildinfo"
	"sallyport/internal/gcpace"
	"sallyport/internal/logging"
	"sallyport/internal/outbound"
	"sallyport/proto"
)

func newRun(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run --data DIR",
		Short: "Hold the tunnels and serve requests, until stopped",
		Long:  "Hold the tunnels and serve requests, until SIGINT or SIGTERM; requests under way may finish. A second signal ends it at once.",
		Args:  cobra.NoArgs,
	}
	load := addOptions(cmd, w, slices.Concat([]string{"data", "relay"}, egressFlags, []string{"target-proxy", "target-ca-file", "max-request-body", "max-request-body", "log-level", "log-format"})...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return service.Run(cmd.Context(), func(ctx context.Context) error {
			c, err := load()
			if err != nil {
				return err
			}
			return run(ctx, c, w)
		})
	}
	return cmd
}

func run(ctx context.Context, c config.Config, w World) error {
	gcpace.Relax()
	lines := logging.Buffered(w.Err)
	defer lines.Close()
	log, _, err := logging.New(logging.Options{Format: c.LogFormat, Level: c.LogLevel, Output: lines})
	if err != nil {
		return err
	}
	// net/http prints what an unruly application sends, word for word, to the
	// standard logger; it may be a cookie.
	stdlog.SetOutput(io.Discard)
	identity, err := config.LoadIdentity(c.DataDir)
	if err != nil {
		return notEnrolled(err, c.DataDir)
	}
	if _, err := control.Ask(ctx, c.DataDir); err == nil {
		return fmt.Errorf("an agent is running with the data directory %s already", c.DataDir)
	} else if !errors.Is(err, control.ErrNotRunning) {
		return err
	}
	a, err := newAgent(c, w, identity, log)
	if err != nil {
		return err
	}
	defer a.transport.Close()
	server, err := control.Serve(c.DataDir, a.status)
	if err != nil {
		return err
	}
	defer server.Close()
	log.Info("agent started", logging.Agent(identity.AgentID), logging.Instance(identity.InstanceID), zap.String("version", buildinfo.Version()))
	defer service.Announce(ctx, a.health)()
	if err := a.link.Run(ctx); err != nil {
		return err
	}
	log.Info("agent stopped")
	return nil
}

// agent is the rooms put together.
type agent struct {
	identity  config.Identity
	relay     string
	started   time.Time
	transport *outbound.Transport
	policy    *policy.Engine
	forwarder *forward.Forwarder
	link      *link.Link
}

func newAgent(c config.Config, w World, identity config.Identity, log *zap.Logger) (*agent, error) {
	relay, err := config.ParseRelay(cmp.Or(c.Relay, identity.Relay))
	if err != nil {
		return nil, err
	}
	c.CAFile = cmp.Or(c.CAFile, identity.CAFile)
	way, err := newEgress(c, w, log.Named("egress"))
	if err != nil {
		return nil, err
	}
	transport, rules, err := newTargets(c, log.Named("outbound"))
	if err != nil {
		return nil, err
	}
	if warning := rules.Policy().Warning(); warning != "" {
		log.Warn("policy is open", zap.String("meaning", warning))
	}
	if err := link.CheckRelay(relay, c.AllowPlaintextRelay); err != nil {
		return nil, err
	}
	limit, err := c.RequestBodyLimit()
	if err != nil {
		return nil, err
	}
	a := &agent{identity: identity, relay: relay.String(), started: time.Now(), transport: transport, policy: rules}
	a.forwarder = forward.New(forward.Options{Transport: rules.Wrap(transport), MaxBody: limit, Log: log.Named("forward")})
	a.link = link.New(link.Options{
		Relay:          relay,
		Identity:       link.Identity{AgentID: identity.AgentID, InstanceID: identity.InstanceID, Key: identity.Key()},
		Machine:        link.Machine{Hostname: hostname(), OS: runtime.GOOS, Arch: runtime.GOARCH, Version: buildinfo.Version()},
		Serve:          a.forwarder.Serve,
		Refuse:         a.forwarder.Refuse,
		Egress:         way,
		Announce:       func() []proto.Control { return []proto.Control{rules.Policy().Summary()} },
		AllowPlaintext: c.AllowPlaintextRelay,
		Log:            log.Named("link"),
	})
	return a, nil
}

// newTargets makes what performs requests against applications, and the policy
// to put before it.
func newTargets(c config.Config, log *zap.Logger) (*outbound.Transport, *policy.Engine, error) {
	proxy, err := c.RequestProxy()
	if err != nil {
		return nil, nil, err
	}
	authorities, err := c.TargetAuthorities()
	if err != nil {
		return nil, nil, err
	}
	rules, err := c.Policy.Compile()
	if err != nil {
		return nil, nil, err
	}
	engine := policy.NewEngine(rules, policy.Options{Proxy: proxy, Resolver: net.DefaultResolver})
	return outbound.New(outbound.Options{RootCAs: authorities, Proxy: proxy, Log: log}), engine, nil
}

func policyStatus(p *policy.Policy) *control.Policy {
	return &control.Policy{Version: p.Version(), Rules: len(p.Rules()), Default: p.Default(), Warning: p.Warning()}
}

// hostname is this machine's name, as the relay's pages show it.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

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
	out.Policy = policyStatus(a.policy.Policy())
	for _, t := range st.Tunnels {
		out.Tunnels = append(out.Tunnels, control.Tunnel{ID: t.ID, ConnectedAt: t.Since, LatencyMs: t.LatencyMs, InFlight: t.InFlight})
	}
	return out
}
