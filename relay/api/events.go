package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"sallyport/relay/event"
)

// events streams what changes in the caller's workspace. It begins with the
// event sync, which means: read the state now; a reader that fell behind gets
// another one instead of the events that it missed.
func (h *handler) events(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) {
	workspace := actorOf(ctx).WorkspaceID
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		r, w := humago.Unwrap(ctx)
		h.follow(r, openStream(w), workspace)
	}}, nil
}

func (h *handler) follow(r *http.Request, out *stream, workspace string) {
	sub := h.Events.Subscribe(workspace)
	defer func() { sub.Close() }()
	out.send("sync", struct{}{})
	idle := time.NewTicker(h.KeepAlive)
	defer idle.Stop()
	for !out.failed {
		select {
		case <-r.Context().Done():
			return
		case <-h.Closing:
			return // the client connects again, to the relay that comes next
		case <-sub.Missed():
			sub.Close()
			sub = h.Events.Subscribe(workspace)
			out.send("sync", struct{}{})
		case e := <-sub.C:
			for _, e := range distinct(e, sub.C) {
				out.send(e.Type, e)
			}
		case <-idle.C:
			out.comment()
		}
	}
}

// distinct is first and all that waits behind it, each thing once: a burst of
// changes to one agent is one event to a reader.
func distinct(first event.Event, more <-chan event.Event) []event.Event {
	seen := map[event.Event]bool{first: true}
	all := []event.Event{first}
	for {
		select {
		case e := <-more:
			if !seen[e] {
				seen[e] = true
				all = append(all, e)
			}
		default:
			return all
		}
	}
}

func eventAnswers(op *huma.Operation) {
	op.Description = "Server-sent events. `sync`: read the whole state now; comes first, and again if events were missed. " +
		"`agent` and `connection`: the thing with this id was created, changed or deleted; read it for its state. " +
		"`health`: the state of the connection with this id has changed."
	op.Responses["200"] = &huma.Response{Description: "Events until the caller or the relay closes.", Content: map[string]*huma.MediaType{
		"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString, Examples: []any{"event: agent\ndata: {\"type\":\"agent\",\"id\":\"agt_0198a2b4\"}\n\n"}}},
	}}
}
