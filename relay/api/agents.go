package api

import (
	"context"
	"encoding/base64"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sallyport/relay/registry"
)

// Agent is a site behind a firewall and the machines that serve it.
type Agent struct {
	ID         string     `json:"id" example:"agt_0198a2b477aa7cde"`
	Name       string     `json:"name" example:"Plant 2 ERP"`
	Status     string     `json:"status" enum:"never_connected,online,offline,paused"`
	Instances  []Instance `json:"instances" doc:"The enrolled machines, connected or not."`
	LastSeenAt *time.Time `json:"lastSeenAt,omitempty" doc:"When one of its machines was last connected."`
	UsedBy     int        `json:"usedBy" doc:"How many connections run through it."`
	CreatedAt  time.Time  `json:"createdAt"`
	Version    int64      `json:"version" doc:"Counts the changes."`
}

// Instance is one machine of an agent.
type Instance struct {
	ID          string     `json:"id"`
	Hostname    string     `json:"hostname"`
	OS          string     `json:"os"`
	Arch        string     `json:"arch"`
	Version     string     `json:"version" doc:"Of the agent's program."`
	Online      bool       `json:"online" doc:"Whether it is connected now."`
	EnrolledAt  time.Time  `json:"enrolledAt"`
	ConnectedAt *time.Time `json:"connectedAt,omitempty" doc:"Since when, or the last time."`
	LastSeenAt  *time.Time `json:"lastSeenAt,omitempty"`
	LatencyMs   float64    `json:"latencyMs" doc:"Round trip between relay and agent; 0 while unknown."`
	InFlight    int        `json:"inFlight" doc:"Requests under way."`
	Paused      *Pause     `json:"paused,omitempty" doc:"Left out where its site has not paused it."`
	// Policy and Config are absent while the machine is not connected, or to a relay that can't be asked.
	Policy *InstancePolicy `json:"policy,omitempty" doc:"What its site lets be reached through it, in short; absent while that is not known."`
	Config *InstanceConfig `json:"config,omitempty" doc:"Which configuration it runs with; absent while that is not known."`
}

// InstancePolicy is what a machine says of the rules of its site. The rules
// themselves stay there.
type InstancePolicy struct {
	Version string `json:"version" doc:"The same for the same rules."`
	Rules   int    `json:"rules" doc:"How many there are."`
	Default string `json:"default" enum:"allow,deny" doc:"What becomes of a request that no rule matches."`
	Warning string `json:"warning,omitempty" doc:"Where more may be reached than rules name: what that means."`
}

// InstanceConfig is what a machine says of its agent.yaml.
type InstanceConfig struct {
	Version      string     `json:"version" doc:"The same for the same values."`
	LoadedAt     time.Time  `json:"loadedAt" doc:"By the machine's own clock."`
	Error        string     `json:"error,omitempty" doc:"Why the last edit was not taken, a fault a line. What was in use before stays in use."`
	Since        *time.Time `json:"since,omitempty" doc:"When the machine saw the error."`
	NeedsRestart []string   `json:"needsRestart,omitempty" doc:"Keys that only a new run of the agent takes."`
}

// Pause is what a machine's site says of having paused it.
type Pause struct {
	Since  time.Time  `json:"since"`
	Until  *time.Time `json:"until,omitempty" doc:"When it goes on by itself; left out where somebody has to resume it."`
	Reason string     `json:"reason,omitempty" doc:"As the site's admin wrote it."`
}

type agentAnswer struct{ Body Agent }

type newAgentAnswer struct {
	Location string `header:"Location" doc:"Of the new agent."`
	Body     Agent
}

// agentName is what a caller says of an agent.
type agentName struct {
	Name string `json:"name" doc:"1 to 100 characters." example:"Plant 2 ERP"`
}

func pageOf(in *page) registry.Page {
	return registry.Page{Limit: in.Limit, Cursor: in.Cursor, Query: in.Query}
}

func agentResource(a registry.Agent) Agent {
	out := Agent{ID: a.ID, Name: a.Name, Status: string(a.Status), Instances: make([]Instance, 0, len(a.Instances)),
		LastSeenAt: ifSet(a.LastSeenAt), UsedBy: a.UsedBy, CreatedAt: a.CreatedAt, Version: a.Version}
	for _, in := range a.Instances {
		out.Instances = append(out.Instances, instanceResource(in))
	}
	return out
}

func instanceResource(in registry.Instance) Instance {
	out := Instance{ID: in.ID, Hostname: in.Hostname, OS: in.OS, Arch: in.Arch, Version: in.Version,
		Online: in.Online, EnrolledAt: in.EnrolledAt, ConnectedAt: ifSet(in.ConnectedAt), LastSeenAt: ifSet(in.LastSeenAt),
		InFlight: in.InFlight, LatencyMs: float64(in.Latency.Microseconds()) / 1000}
	if p := in.Policy; p != nil {
		out.Policy = &InstancePolicy{Version: p.Version, Rules: p.Rules, Default: p.Default, Warning: p.Warning()}
	}
	if c := in.Config; c != nil {
		out.Config = &InstanceConfig{Version: c.Version, LoadedAt: c.LoadedAt, Error: c.Error, Since: ifSet(c.Since), NeedsRestart: c.NeedsRestart}
	}
	if p := in.Paused; p != nil {
		out.Paused = &Pause{Since: p.Since, Until: ifSet(p.Until), Reason: p.Reason}
	}
	return out
}

func ifSet(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (h *handler) listAgents(ctx context.Context, in *page) (*listed[Agent], error) {
	found, next, err := h.Registry.Agents(ctx, actorOf(ctx), pageOf(in))
	if err != nil {
		return nil, err
	}
	return listOf(found, next, agentResource), nil
}

func (h *handler) readAgent(ctx context.Context, in *Identified) (*agentAnswer, error) {
	a, err := h.Registry.Agent(ctx, actorOf(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	return &agentAnswer{Body: agentResource(a)}, nil
}

type namedAgent struct{ Body document[agentName] }

func (h *handler) createAgent(ctx context.Context, in *namedAgent) (*newAgentAnswer, error) {
	doc, err := in.Body.strict(h.schemas())
	if err != nil {
		return nil, err
	}
	a, err := h.Registry.CreateAgent(ctx, actorOf(ctx), doc.Name)
	if err != nil {
		return nil, err
	}
	return &newAgentAnswer{Location: Prefix + "/agents/" + a.ID, Body: agentResource(a)}, nil
}

type renamedAgent struct {
	Identified
	Body document[agentName]
}

func (h *handler) renameAgent(ctx context.Context, in *renamedAgent) (*agentAnswer, error) {
	doc, err := in.Body.strict(h.schemas())
	if err != nil {
		return nil, err
	}
	a, err := h.Registry.RenameAgent(ctx, actorOf(ctx), in.ID, doc.Name)
	if err != nil {
		return nil, err
	}
	return &agentAnswer{Body: agentResource(a)}, nil
}

func (h *handler) deleteAgent(ctx context.Context, in *Identified) (*nothing, error) {
	return nil, h.Registry.DeleteAgent(ctx, actorOf(ctx), in.ID)
}

type oneInstance struct {
	Identified
	InstanceID string `path:"instanceId" maxLength:"64"`
}

func (h *handler) removeInstance(ctx context.Context, in *oneInstance) (*nothing, error) {
	return nil, h.Registry.RemoveInstance(ctx, actorOf(ctx), in.ID, in.InstanceID)
}

// Enrolment is a one-time code and the commands that use it.
type Enrolment struct {
	Code      string    `json:"code" doc:"Good for one machine, until expiresAt. Shown once."`
	ExpiresAt time.Time `json:"expiresAt"`
	Commands  Commands  `json:"commands" doc:"What to run on the machine behind the firewall."`
}

// Commands install an agent, each on its system.
type Commands struct {
	Linux   string `json:"linux"`
	Windows string `json:"windows"`
	MacOS   string `json:"macos"`
	Docker  string `json:"docker"`
}

type enrolmentAnswer struct{ Body Enrolment }

func (h *handler) createEnrolment(ctx context.Context, in *Identified) (*enrolmentAnswer, error) {
	e, err := h.Registry.CreateEnrolment(ctx, actorOf(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	return &enrolmentAnswer{Body: Enrolment{Code: e.Code, ExpiresAt: e.ExpiresAt, Commands: Commands(e.Commands)}}, nil
}

// enrolRequest is what an agent says of itself and of its key.
type enrolRequest struct {
	Code      string `json:"code" doc:"The one-time code." required:"true"`
	PublicKey string `json:"publicKey" doc:"Of the instance's Ed25519 key pair: 32 bytes, base64." required:"true"`
	Hostname  string `json:"hostname,omitempty"`
	OS        string `json:"os,omitempty"`
	Arch      string `json:"arch,omitempty"`
	Version   string `json:"version,omitempty" doc:"Of the agent's program."`
}

// Identity is what an agent is from now on.
type Identity struct {
	AgentID    string `json:"agentId"`
	InstanceID string `json:"instanceId"`
	AgentName  string `json:"agentName"`
	RelayID    string `json:"relayId"`
}

type enrolling struct {
	Body    document[enrolRequest]
	address string
}

// Resolve notes where the request came from (huma.Resolver).
func (e *enrolling) Resolve(ctx huma.Context) []error {
	e.address = ctx.RemoteAddr()
	return nil
}

type identityAnswer struct{ Body Identity }

// enrol is not strict about fields: an agent may be newer than the relay.
func (h *handler) enrol(ctx context.Context, in *enrolling) (*identityAnswer, error) {
	doc, faults := in.Body.decode(h.schemas())
	key, err := base64.StdEncoding.DecodeString(doc.PublicKey)
	if err != nil || len(key) != 32 {
		faults = append(faults, FieldError{Path: "publicKey", Message: "Must be the 32 bytes of an Ed25519 key in base64."})
	}
	var faulty []FieldError
	for _, f := range faults {
		if f.Message != unknownField {
			faulty = append(faulty, f)
		}
	}
	if len(faulty) > 0 {
		return nil, merged(faulty, nil)
	}
	e, err := h.Registry.Enrol(ctx, registry.EnrolRequest{Code: doc.Code, PublicKey: key, Hostname: doc.Hostname, OS: doc.OS, Arch: doc.Arch, Version: doc.Version, Address: in.address})
	if err != nil {
		return nil, err
	}
	return &identityAnswer{Body: Identity{AgentID: e.AgentID, InstanceID: e.InstanceID, AgentName: e.AgentName, RelayID: e.RelayID}}, nil
}

// leaving is what an instance sends to end its own enrolment.
type leaving struct {
	AgentID    string `query:"agentId" maxLength:"64" doc:"The machine's agent."`
	InstanceID string `query:"instanceId" maxLength:"64" doc:"The machine."`
	Signature  string `header:"Sallyport-Leave" maxLength:"128" doc:"Ed25519 signature by the key that was enrolled, over SHA-256 of \"sallyport leave 1\", the relay's id, agentId and instanceId, each preceded by its length as 8 bytes, big endian; base64."`
	address    string
}

// Resolve notes where the request came from (huma.Resolver).
func (l *leaving) Resolve(ctx huma.Context) []error {
	l.address = ctx.RemoteAddr()
	return nil
}

func (h *handler) leave(ctx context.Context, in *leaving) (*nothing, error) {
	return nil, h.Registry.Unenrol(ctx, registry.UnenrolRequest{AgentID: in.AgentID, InstanceID: in.InstanceID, Signature: in.Signature, Address: in.address})
}
