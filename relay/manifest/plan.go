package manifest

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sallyport/proto"
	"sallyport/relay/client"
)

// Options of a plan.
type Options struct {
	Values Values
	// Owner is who keeps these documents: the managedBy of what is applied. "":
	// each document speaks for itself.
	Owner string
	// TakeOver lets a connection be changed that another owner keeps.
	TakeOver bool
	// Prune deletes the owner's connections that no document describes.
	Prune bool
	// Found are the faults that reading the documents has found already: the plan
	// adds its own to them, so that all are told at once.
	Found Faults
}

// Action is what becomes of a connection.
type Action int

const (
	Keep Action = iota // as it is
	Create
	Update
	Delete
)

// Change is what becomes of one connection.
type Change struct {
	Action      Action
	Document    *Document // nil: Delete
	Title       string    // what to call it, for people
	Differences []Difference
	Secrets     []string // that are set, changed or removed
	Warnings    []string

	id      string
	version int64 // that the relay had when the plan was made
	body    map[string]any
}

// Plan is what has to be done at a relay.
type Plan struct {
	Changes []Change // those of documents in the order of the files, then deletions
	client  *client.Client
}

// Count is how many changes have that action.
func (p *Plan) Count(a Action) int {
	n := 0
	for _, c := range p.Changes {
		if c.Action == a {
			n++
		}
	}
	return n
}

// Changed reports whether there is anything to do.
func (p *Plan) Changed() bool { return p.Count(Keep) < len(p.Changes) }

// planner makes one plan.
type planner struct {
	Options
	schema *Schema
	client *client.Client
	known  []onFile
	agents agents
	taken  map[string]*Document // ids of connections that a document is about
	faults Faults
}

// NewPlan compares documents with what a relay has. Nothing is changed: the relay
// is asked for dry runs. The error is Faults where documents are faulty.
func (s *Schema) NewPlan(ctx context.Context, c *client.Client, docs []*Document, o Options) (*Plan, error) {
	p := &planner{Options: o, schema: s, client: c, taken: map[string]*Document{}, faults: o.Found}
	var err error
	if p.known, err = readConnections(ctx, c); err != nil {
		return nil, err
	}
	if p.agents, err = readAgents(ctx, c); err != nil {
		return nil, err
	}
	for _, name := range o.Values.unused(docs) {
		p.faults = append(p.faults, Fault{File: "--secrets", Path: name, Message: "No document has this key or name."})
	}
	p.distinct(docs)
	plan := &Plan{client: c}
	for _, d := range docs {
		change, err := p.change(ctx, d)
		if err != nil {
			return nil, err
		}
		plan.Changes = append(plan.Changes, change)
	}
	if o.Prune {
		plan.Changes = append(plan.Changes, p.prune()...)
	}
	return plan, p.faults.orNil()
}

// distinct finds documents that are about the same connection by their own words.
func (p *planner) distinct(docs []*Document) {
	first := map[string]*Document{}
	for _, d := range docs {
		by := cmp.Or(prefixed("key", d.Key()), prefixed("id", d.ID()), prefixed("name", d.Name()))
		if before := first[by]; before != nil && by != "" {
			what, _, _ := strings.Cut(by, " ")
			p.faults = append(p.faults, d.fault(what, "%s:%d has the same: two documents can't describe one connection.", before.File, before.Line))
			continue
		}
		first[by] = d
	}
}

func prefixed(what, value string) string {
	if value == "" {
		return ""
	}
	return what + " " + value
}

// change plans one document.
func (p *planner) change(ctx context.Context, d *Document) (Change, error) {
	target, faults := p.find(d)
	body, bad := p.schema.body(d, p.agents, p.Values, target == nil)
	faults = append(faults, bad...)
	owner, bad := p.owner(d, target)
	faults = append(faults, bad...)
	if owner != "" {
		body["managedBy"] = owner
	}
	if key := target.text("key"); d.Key() == "" && key != "" {
		body["key"] = key // a document that goes by the name takes none away
	}
	change := Change{Action: Create, Document: d, Title: d.title(), body: body}
	if target != nil {
		change.Action, change.id, change.version, change.Title = Update, target.id(), target.version(), target.title()
	}
	if len(faults) > 0 {
		p.faults = append(p.faults, faults...)
		return change, nil
	}
	return change, p.dryRun(ctx, &change, target)
}

// body is a document as the API takes it. fresh: the connection is still to be
// made.
func (s *Schema) body(d *Document, all agents, values Values, fresh bool) (map[string]any, Faults) {
	body := s.described(d.fields)
	secrets, faults := d.fill(values, fresh)
	if len(secrets) > 0 {
		body["secrets"] = secrets
	}
	if d.agent != "" {
		id, problem := all.named(d.agent)
		if problem != "" {
			faults = append(faults, d.fault("agent", "%s", problem))
		}
		body["agentId"] = id
	}
	return body, faults
}

// find is the connection that a document is about, by its id, its key, or its
// name; nil: it is still to be made.
func (p *planner) find(d *Document) (onFile, Faults) {
	var found []onFile
	field := "name"
	switch {
	case d.ID() != "":
		field = "id"
		if found = p.where("id", d.ID()); len(found) == 0 {
			return nil, Faults{d.fault("id", "The relay has no such connection. Leave id out to make a new one.")}
		}
	case d.Key() != "":
		field = "key"
		if found = p.where("key", d.Key()); len(found) > 0 {
			break
		}
		// The first time, it takes over the one of its name that has no key yet.
		found = slices.DeleteFunc(p.where("name", d.Name()), func(c onFile) bool { return c.text("key") != "" })
	default:
		found = p.where("name", d.Name())
	}
	if len(found) == 0 {
		return nil, nil
	}
	if len(found) > 1 {
		ids := make([]string, len(found))
		for i, c := range found {
			ids[i] = c.id()
		}
		return nil, Faults{d.fault("name", "The relay has several connections of this name: %s. Say which one with id, once; with a key as well, id can go again.", strings.Join(ids, ", "))}
	}
	if before := p.taken[found[0].id()]; before != nil {
		return nil, Faults{d.fault(field, "%s:%d is about the same connection, %s.", before.File, before.Line, found[0].title())}
	}
	p.taken[found[0].id()] = d
	return found[0], nil
}

func (p *planner) where(field, value string) []onFile {
	var found []onFile
	for _, c := range p.known {
		if value != "" && c.text(field) == value {
			found = append(found, c)
		}
	}
	return found
}

// owner is the mark that a connection is to have. One that somebody else keeps is
// left to them.
func (p *planner) owner(d *Document, target onFile) (string, Faults) {
	own := d.text("managedBy")
	if own != "" && p.Owner != "" && own != p.Owner {
		return "", Faults{d.fault("managedBy", "It is not the owner that was given, %s.", p.Owner)}
	}
	owner := cmp.Or(own, p.Owner)
	if target == nil {
		return owner, nil
	}
	theirs := target.text("managedBy")
	if theirs != "" && theirs != owner && !p.TakeOver {
		return "", Faults{d.fault("managedBy", "%s is kept by %s. Apply with --owner and that name where it is yours, or with --take-over to make it yours.", target.title(), theirs)}
	}
	if owner == "" && !p.TakeOver {
		owner = theirs
	}
	return owner, nil
}

// dryRun asks the relay what saving would come to, and compares.
func (p *planner) dryRun(ctx context.Context, change *Change, target onFile) error {
	var after struct {
		ChangedSecrets []string `json:"changedSecrets"`
		Warnings       []string `json:"warnings"`
	}
	text, err := change.send(ctx, p.client, true)
	if err != nil {
		if told := change.Document.told(err); told != nil {
			p.faults = append(p.faults, told...)
			return nil
		}
		return err
	}
	var fields map[string]any
	if err := exact(text, &fields); err != nil {
		return err
	}
	if err := exact(text, &after); err != nil {
		return err
	}
	change.Secrets, change.Warnings = after.ChangedSecrets, after.Warnings
	change.Differences = differences("", hideTyped(p.schema.described(target)), hideTyped(p.schema.described(fields)))
	for _, name := range change.Secrets {
		change.Differences = append(change.Differences, Difference{Path: "secrets." + name, New: p.secretWord(change, target, name)})
	}
	if target != nil && len(change.Differences) == 0 {
		change.Action = Keep
	}
	return nil
}

// secretWord says what becomes of a secret: its value is not shown.
func (p *planner) secretWord(change *Change, target onFile, name string) string {
	secrets, _ := change.body["secrets"].(map[string]any)
	if value, given := secrets[name]; given && value == nil {
		return "(removed)"
	}
	if had, _ := target["secrets"].(map[string]any); had[name] != nil {
		return "(changed)"
	}
	return "(set)"
}

// send creates or replaces, or tells what that would come to.
func (c *Change) send(ctx context.Context, to *client.Client, dryRun bool) ([]byte, error) {
	method, path := "POST", "/api/v1/connections"
	header := http.Header{}
	if c.Action == Update {
		method, path = "PUT", path+"/"+c.id
		header.Set("If-Match", strconv.Quote(fmt.Sprint(c.version)))
	}
	if dryRun {
		path += "?dryRun=true"
	}
	return to.DoRaw(ctx, method, path, header, c.body)
}

// told is what the relay finds wrong with a document, at its lines; nil: err is
// about something else.
func (d *Document) told(err error) Faults {
	e := client.AsError(err)
	if e == nil || e.Code != proto.CodeValidation && e.Code != proto.CodeTooLarge {
		return nil
	}
	var faults Faults
	for _, f := range e.Errors {
		faults = append(faults, d.fault(f.Path, "%s", f.Message))
	}
	if len(faults) == 0 {
		faults = append(faults, d.fault("", "%s %s", e.Detail, e.Hint))
	}
	return faults
}

// prune are the deletions: connections with the owner's mark and no other, that
// no document is about.
func (p *planner) prune() []Change {
	var gone []Change
	for _, c := range p.known {
		if p.Owner != "" && c.text("managedBy") == p.Owner && p.taken[c.id()] == nil {
			gone = append(gone, Change{Action: Delete, Title: c.title(), id: c.id(), version: c.version()})
		}
	}
	return gone
}
