package web

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sallyport/relay/account"
	"sallyport/relay/registry"
)

type agentsView struct {
	Items   []agentRow
	Query   string
	Empty   bool
	MayEdit bool
	Pages   pages
}

type agentRow struct {
	ID, Name  string
	Status    agentStatus
	Machines  string
	Version   string
	LatencyMs float64
	InFlight  int
	UsedBy    int
}

func (h *handler) listAgents(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	query, cursor := strings.TrimSpace(r.URL.Query().Get("q")), r.URL.Query().Get("cursor")
	items, next, err := h.Registry.Agents(r.Context(), actor, registry.Page{Limit: pageSize, Cursor: cursor, Query: query})
	if err != nil {
		return err
	}
	view := agentsView{Query: query, MayEdit: actor.MayEdit(), Empty: len(items) == 0 && query == "" && cursor == "", Pages: pagesOf("/agents", query, cursor, next)}
	for _, a := range items {
		view.Items = append(view.Items, agentRowOf(a))
	}
	return h.render(w, http.StatusOK, h.views.agents, page{Title: "Agents", Section: "agents", Actor: actor, Notice: noticeOf(r), Body: view})
}

func agentRowOf(a registry.Agent) agentRow {
	row := agentRow{ID: a.ID, Name: a.Name, Status: statusOf(a), UsedBy: a.UsedBy}
	n, latency := online(a)
	row.LatencyMs = latency
	switch {
	case len(a.Instances) == 0:
	case n == len(a.Instances):
		row.Machines = plural(n, "machine")
	default:
		row.Machines = strconv.Itoa(n) + " of " + plural(len(a.Instances), "machine")
	}
	versions := map[string]bool{}
	for _, in := range a.Instances {
		row.InFlight += in.InFlight
		if in.Version != "" && !versions[in.Version] {
			versions[in.Version] = true
			if row.Version != "" {
				row.Version += ", "
			}
			row.Version += in.Version
		}
	}
	return row
}

// agentOptions are the entries of the form's dropdown.
type agentOptions struct {
	Selected string
	Unknown  bool // the selected one is gone
	Agents   []agentOption
}

type agentOption struct {
	ID, Name, Line string
	Since          time.Time
}

// dropdownLimit is how many agents the dropdown holds: a native list of more
// is of no use to anyone.
const dropdownLimit = 500

func (h *handler) agentOptionsFor(ctx context.Context, actor account.Actor, selected string) (agentOptions, error) {
	options := agentOptions{Selected: selected, Unknown: selected != ""}
	agents, _, err := h.Registry.Agents(ctx, actor, registry.Page{Limit: dropdownLimit})
	if err != nil {
		return options, err
	}
	for _, a := range agents {
		options.add(a)
	}
	if options.Unknown {
		a, err := h.Registry.Agent(ctx, actor, selected) // beyond the limit
		if err != nil && !isNotFound(err) {
			return options, err
		}
		if err == nil {
			options.add(a)
		}
	}
	return options, nil
}

func (o *agentOptions) add(a registry.Agent) {
	line, since := agentLine(a)
	o.Agents = append(o.Agents, agentOption{ID: a.ID, Name: a.Name, Line: line, Since: since})
	if a.ID == o.Selected {
		o.Unknown = false
	}
}

// agentOptions answers the open form when an agent has changed.
func (h *handler) agentOptions(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	options, err := h.agentOptionsFor(r.Context(), actor, r.URL.Query().Get("selected"))
	if err != nil {
		return err
	}
	markup, err := h.part("agent-options", options)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(markup)) // the reader is gone, if this fails
	return nil
}
