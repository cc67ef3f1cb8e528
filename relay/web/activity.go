package web

import (
	"net/http"
	"net/url"
	"strings"

	"sallyport/relay/account"
	"sallyport/relay/gateway"
	"sallyport/relay/registry"
)

type activityView struct {
	Requests bool // which of the two lists is shown
	Kinds    []choice
	Kind     string
	Changes  []activityRow
	Sent     []sentRow
	Filtered bool
	Failed   bool
	Of       string // id of the connection whose requests are shown
	OfName   string
	Pages    pages
}

type sentRow struct {
	gateway.Entry
	DurationMs float64
}

// Word is the outcome in a word, and Class its shape.
func (s sentRow) Word() string {
	switch {
	case s.Code != "":
		return s.Code
	case !s.Complete:
		return "broke off"
	}
	return ""
}

// Class is the shape of the outcome.
func (s sentRow) Class() string {
	if s.Failed() {
		return "failed"
	}
	return "ok"
}

// showActivity shows who changed what.
func (h *handler) showActivity(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	kind, cursor := r.URL.Query().Get("kind"), r.URL.Query().Get("cursor")
	entries, next, err := h.Registry.Audit(r.Context(), actor, registry.AuditFilter{ObjectType: kind}, registry.Page{Limit: pageSize, Cursor: cursor})
	if err != nil {
		return err
	}
	filter := url.Values{}
	if kind != "" {
		filter.Set("kind", kind)
	}
	view := activityView{Kind: kind, Filtered: kind != "", Pages: filteredPages("/activity", filter, cursor, next), Kinds: []choice{
		{Value: "", Label: "Everything"}, {Value: "connection", Label: "Connections"}, {Value: "agent", Label: "Agents"},
		{Value: "user", Label: "People"}, {Value: "token", Label: "API tokens"}}}
	for _, e := range entries {
		view.Changes = append(view.Changes, activityRow{e})
	}
	return h.render(w, http.StatusOK, h.views.activity, page{Title: "Activity", Section: "activity", Actor: actor, Body: view})
}

// showRequests shows what was sent through connections lately.
func (h *handler) showRequests(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	q := r.URL.Query()
	cursor, of, failed := q.Get("cursor"), q.Get("connection"), q.Get("failed") != ""
	found, next := h.Journal.List(actor.WorkspaceID, gateway.Wanted{ConnectionID: of, Failed: failed, Limit: pageSize, Cursor: cursor})
	filter := url.Values{}
	view := activityView{Requests: true, Of: of, Failed: failed, Filtered: of != "" || failed}
	if of != "" {
		filter.Set("connection", of)
		c, err := h.Registry.Connection(r.Context(), actor, of)
		if err != nil && !isNotFound(err) {
			return err
		}
		if view.OfName = c.Name; err != nil {
			view.OfName = "a connection that was deleted"
		}
	}
	if failed {
		filter.Set("failed", "1")
	}
	for _, e := range found {
		view.Sent = append(view.Sent, sentRow{e, msOf(e.Took)})
	}
	view.Pages = filteredPages("/activity/requests", filter, cursor, next)
	return h.render(w, http.StatusOK, h.views.activity, page{Title: "Activity", Section: "activity", Actor: actor, Body: view})
}

// filteredPages leads through a list that keeps its filter.
func filteredPages(path string, filter url.Values, cursor, next string) pages {
	at := func(cursor string) string {
		if cursor != "" {
			filter.Set("cursor", cursor)
		} else {
			filter.Del("cursor")
		}
		return strings.TrimSuffix(path+"?"+filter.Encode(), "?")
	}
	var p pages
	if cursor != "" {
		p.First = at("")
	}
	if next != "" {
		p.Next = at(next)
	}
	return p
}
