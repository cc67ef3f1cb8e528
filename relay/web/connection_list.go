package web

import (
	"net/http"
	"net/url"
	"strings"

	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/registry"
)

// pageSize is how many rows a list shows at once.
const pageSize = 50

type connectionsView struct {
	Items []connectionRow
	Query string
	Empty bool // there is none at all
	Pages pages
}

type connectionRow struct {
	registry.Connection
	AgentName string
	Spark     *sparkline
	State     connectionStatus
}

// ModeWord is the mode in the words of the form.
func (c connectionRow) ModeWord() string { return modeWord(c.Mode) }

// pages leads through a list.
type pages struct{ First, Next string }

func (h *handler) listConnections(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	query, cursor := strings.TrimSpace(r.URL.Query().Get("q")), r.URL.Query().Get("cursor")
	items, next, err := h.Registry.Connections(r.Context(), actor, registry.Page{Limit: pageSize, Cursor: cursor, Query: query})
	if err != nil {
		return err
	}
	view := connectionsView{Query: query, Empty: len(items) == 0 && query == "" && cursor == "", Pages: pagesOf("/connections", query, cursor, next)}
	names := map[string]string{}
	for _, c := range items {
		row := connectionRow{Connection: c, Spark: sparklineOf(c.LatencyMs), State: statusOfConnection(c.Status)}
		if c.AgentID != "" {
			if row.AgentName, err = h.agentName(r, actor, c.AgentID, names); err != nil {
				return err
			}
		}
		view.Items = append(view.Items, row)
	}
	return h.render(w, http.StatusOK, h.views.connections, page{Title: "Connections", Section: "connections", Actor: actor, Notice: noticeOf(r), Body: view})
}

// agentName looks an agent's name up once a page.
func (h *handler) agentName(r *http.Request, actor account.Actor, id string, known map[string]string) (string, error) {
	if name, ok := known[id]; ok {
		return name, nil
	}
	agent, err := h.Registry.Agent(r.Context(), actor, id)
	if isNotFound(err) {
		agent.Name, err = "an agent that no longer exists", nil
	}
	if err != nil {
		return "", err
	}
	known[id] = agent.Name
	return agent.Name, nil
}

// pagesOf leads through a list that can be searched.
func pagesOf(path, query, cursor, next string) pages {
	filter := url.Values{}
	if query != "" {
		filter.Set("q", query)
	}
	return filteredPages(path, filter, cursor, next)
}

func modeWord(m connection.Mode) string {
	if m == connection.OnPremise {
		return "On-premise"
	}
	return "Cloud"
}
