package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"sallyport/relay/hub"
)

// Logs follows the logs of agents. Package hub does.
type Logs interface {
	FollowLogs(agentID, instanceID, level string) *hub.LogReader
}

// AgentLogLine is one line of a machine's log.
type AgentLogLine struct {
	InstanceID string          `json:"instanceId"`
	Hostname   string          `json:"hostname"`
	Time       time.Time       `json:"time"`
	Level      string          `json:"level" enum:"debug,info,warn,error"`
	Logger     string          `json:"logger,omitempty"`
	Message    string          `json:"msg"`
	Fields     json.RawMessage `json:"fields,omitempty"`
}

// logEvent is what the other events of a log say.
type logEvent struct {
	InstanceID string `json:"instanceId"`
	Hostname   string `json:"hostname"`
	Lines      int    `json:"lines,omitempty"`
}

type followedLog struct {
	Identified
	Level    string `query:"level" enum:"debug,info,warn,error" default:"info" doc:"No less than this."`
	Instance string `query:"instance" maxLength:"64" doc:"Of this machine only."`
}

func (h *handler) agentLogs(ctx context.Context, in *followedLog) (*huma.StreamResponse, error) {
	if err := h.Registry.FollowLogs(ctx, actorOf(ctx), in.ID); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		r, w := humago.Unwrap(ctx)
		reader := h.Logs.FollowLogs(in.ID, in.Instance, in.Level)
		defer reader.Close()
		h.tail(r, openStream(w), reader)
	}}, nil
}

func (h *handler) tail(r *http.Request, out *stream, reader *hub.LogReader) {
	idle := time.NewTicker(h.KeepAlive)
	defer idle.Stop()
	for !out.failed {
		select {
		case <-r.Context().Done():
			return
		case <-h.Closing:
			return
		case n := <-reader.C:
			about := logEvent{InstanceID: n.InstanceID, Hostname: n.Hostname}
			if n.Off {
				out.send("off", about)
			}
			if about.Lines = n.Dropped; n.Dropped > 0 {
				out.send("dropped", about)
			}
			for _, l := range n.Lines {
				out.send("log", AgentLogLine{InstanceID: n.InstanceID, Hostname: n.Hostname, Time: l.Time, Level: l.Level, Logger: l.Logger, Message: l.Message, Fields: l.Fields})
			}
		case <-idle.C:
			out.comment()
		}
	}
}

func logAnswers(op *huma.Operation) {
	op.Description = "Server-sent events, from now on, of the machines that are connected. `log`: a line. `dropped`: so many `lines` of a machine were lost before the next one; " +
		"what is logged faster than it may travel is not kept. `off`: the site of this machine does not share its log (`remoteLogs` in agent.yaml). It takes the role editor, and is written to the audit trail."
	op.Responses["200"] = &huma.Response{Description: "Events until the caller or the relay closes.", Content: map[string]*huma.MediaType{
		"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString, Examples: []any{
			"event: log\ndata: {\"instanceId\":\"ins_0198a2b4\",\"hostname\":\"plc7\",\"time\":\"2026-01-31T08:00:00Z\",\"level\":\"warn\",\"logger\":\"forward\",\"msg\":\"request failed\",\"fields\":{}}\n\n"}}},
	}}
}
