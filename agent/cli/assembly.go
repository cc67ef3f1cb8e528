package cli

import (
	"cmp"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"time"

	"go.uber.org/zap"

	"sallyport/agent/config"
	"sallyport/agent/egress"
	"sallyport/agent/forward"
	"sallyport/agent/ledger"
	"sallyport/agent/link"
	"sallyport/agent/policy"
	"sallyport/agent/reload"
	"sallyport/agent/secret"
	"sallyport/agent/trust"
	"sallyport/internal/buildinfo"
	"sallyport/internal/outbound"
	"sallyport/proto"
)

// agent is the rooms put together. What its configuration says is made by
// prepare and put into use by adopt, at start and again at each reload.
type agent struct {
	*records
	world     World
	identity  config.Identity
	relay     string
	started   time.Time
	log       *zap.Logger
	targets   targets
	policy    *policy.Engine
	secrets   *secret.Store
	forwarder *forward.Forwarder
	link      *link.Link
	keeper    *reload.Keeper
}

// newAgent puts the rooms together.
func newAgent(c config.Config, w World, identity config.Identity, kept *records, log *zap.Logger) (*agent, error) {
	relay, err := config.ParseRelay(cmp.Or(c.Relay, identity.Relay))
	if err != nil {
		return nil, err
	}
	if err := link.CheckRelay(relay, c.AllowPlaintextRelay); err != nil {
		return nil, err
	}
	a := &agent{records: kept, world: w, identity: identity, relay: relay.String(), started: time.Now(), log: log}
	p, err := a.prepare(c)
	if err != nil {
		return nil, err
	}
	a.policy = policy.NewEngine(p.rules, policy.Options{Proxy: p.proxy, Resolver: net.DefaultResolver, Allowed: ledger.NoteRule})
	a.secrets = secret.New(p.secrets, secret.Options{Env: w.Env})
	a.warnOfSecrets()
	a.targets.replace(a.road(p))
	if warning := p.rules.Warning(); warning != "" {
		log.Warn("policy is open", zap.String("meaning", warning))
	}
	a.forwarder = forward.New(forward.Options{
		Transport: kept.ledger.Wrap(kept.pause.Wrap(&a.targets)), Refused: kept.ledger.Refused,
		MaxBody: p.maxBody, Log: log.Named("forward"),
	})
	a.link = link.New(link.Options{
		Relay:          relay,
		Identity:       link.Identity{AgentID: identity.AgentID, InstanceID: identity.InstanceID, Key: identity.Key()},
		Machine:        link.Machine{Hostname: hostname(), OS: runtime.GOOS, Arch: runtime.GOARCH, Version: buildinfo.Version(), Capabilities: []string{proto.CapabilityFill}},
		Serve:          a.forwarder.Serve,
		Refuse:         a.forwarder.Refuse,
		Egress:         p.way,
		Announce:       a.announce,
		Hear:           a.hear,
		Changed:        a.linkChanged,
		AllowPlaintext: c.AllowPlaintextRelay,
		Log:            log.Named("link"),
	})
	a.pause.Watch(a.paused)
	return a, nil
}

// announce is what the relay is told when a tunnel comes up.
func (a *agent) announce() []proto.Control {
	told := []proto.Control{a.policy.Policy().Summary(), configState(a.keeper.State())}
	if p := a.pause.Paused(); !p.Since.IsZero() {
		told = append(told, &p)
	}
	for _, report := range a.trail.Reports() {
		told = append(told, &report)
	}
	return told
}

// parts is what a configuration asks for, made and not yet in use.
type parts struct {
	way       *egress.Egress
	transport *outbound.Transport
	proxy     func(*http.Request) (*url.URL, error) // that transport goes by; nil: none
	rules     *policy.Policy
	secrets   *secret.Prepared
	maxBody   int64
}

func (a *agent) prepare(c config.Config) (parts, error) {
	c.CAFile = cmp.Or(c.CAFile, a.identity.CAFile)
	return prepare(c, a.world, a.log)
}

// prepare makes all that a configuration asks for, or says why it can't be: that
// a file which it names is missing, say. It changes nothing.
func prepare(c config.Config, w World, log *zap.Logger) (parts, error) {
	if log == nil {
		log = zap.NewNop()
	}
	var p parts
	var err error
	if p.way, err = newEgress(c, w, log.Named("egress")); err != nil {
		return parts{}, err
	}
	if p.maxBody, err = c.RequestBodyLimit(); err != nil {
		return parts{}, err
	}
	if p.proxy, err = c.RequestProxy(); err != nil {
		return parts{}, err
	}
	if p.rules, err = c.Policy.Compile(); err != nil {
		return parts{}, err
	}
	if p.secrets, err = c.PrepareSecrets(); err != nil {
		return parts{}, err
	}
	if p.transport, err = newTransport(c, p.proxy, log); err != nil {
		return parts{}, err
	}
	return p, nil
}

// newTransport is what performs requests against applications, with what the
// site trusts of them.
func newTransport(c config.Config, proxy func(*http.Request) (*url.URL, error), log *zap.Logger) (*outbound.Transport, error) {
	authorities, err := c.TargetAuthorities()
	if err != nil {
		return nil, err
	}
	clients := make([]trust.Client, len(c.ClientCertificates))
	for i, each := range c.ClientCertificates {
		clients[i] = trust.Client(each)
	}
	hosts, err := trust.New(c.DataDir, clients)
	if err != nil {
		return nil, err
	}
	return outbound.New(outbound.Options{RootCAs: authorities, Proxy: proxy, HostTLS: hosts.TLS, TrustCommand: trustCommand, Log: log.Named("outbound")}), nil
}

// road is the way to applications that the parts make: the policy, which has to
// know the proxy of the transport; then the secrets, which nothing before them
// gets to see.
func (a *agent) road(p parts) *road {
	return &road{chain: a.policy.WrapVia(p.proxy, a.secrets.Wrap(p.transport)), transport: p.transport}
}

// newTargets is the same way, for who looks at it without an agent.
func newTargets(c config.Config, log *zap.Logger) (*outbound.Transport, *policy.Engine, error) {
	proxy, err := c.RequestProxy()
	if err != nil {
		return nil, nil, err
	}
	rules, err := c.Policy.Compile()
	if err != nil {
		return nil, nil, err
	}
	engine := policy.NewEngine(rules, policy.Options{Proxy: proxy, Resolver: net.DefaultResolver})
	if log == nil {
		log = zap.NewNop()
	}
	transport, err := newTransport(c, proxy, log)
	return transport, engine, err
}

// hostname is this machine's name, as the relay's pages show it.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}
