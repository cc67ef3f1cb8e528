package gateway

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"sallyport/proto"
	"sallyport/relay/session"
)

// problem is RFC 9457's problem document with our members.
type problem struct {
	Type      string            `json:"type"`
	Title     string            `json:"title"`
	Status    int               `json:"status"`
	Detail    string            `json:"detail"`
	Code      proto.Code        `json:"code"`
	Hint      string            `json:"hint,omitempty"`
	Outcome   proto.Outcome     `json:"outcome,omitempty"`
	Reason    proto.Reason      `json:"reason,omitempty"`
	Facts     map[string]string `json:"facts,omitempty"`
	RequestID string            `json:"requestId,omitempty"`
}

// refuse answers in the application's place.
func (p *passage) refuse(e *proto.Error) {
	status := e.Code.Status()
	said := []zap.Field{zap.String("request_id", p.requestID), zap.String("connection", p.c.ID),
		zap.String("method", p.r.Method), zap.String("code", string(e.Code)), zap.String("outcome", string(e.Outcome))}
	if e.Reason != "" {
		said = append(said, zap.String("failure", string(e.Reason)))
	}
	p.g.log.Info("request through a connection failed", said...)
	title := http.StatusText(status)
	if title == "" {
		title = "Request canceled"
	}
	body, err := json.Marshal(problem{
		Type: "about:blank", Title: title, Status: status, Detail: e.Detail, Code: e.Code, Hint: e.Hint,
		Outcome: e.Outcome, Reason: e.Reason, Facts: e.Facts, RequestID: p.requestID,
	})
	if err != nil { // strings and numbers can always be written
		body = nil
	}
	h := p.w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set(proto.HeaderError, string(e.Code))
	h.Set(proto.HeaderOutcome, string(cmp.Or(e.Outcome, proto.OutcomeUnknown)))
	h["Server-Timing"] = []string{p.serverTiming()}
	if next, err := time.Parse(time.RFC3339, e.Facts[session.FactNextTry]); err == nil {
		left := max(next.Sub(p.g.clock()), time.Second)
		h.Set("Retry-After", strconv.Itoa(int((left+time.Second-1)/time.Second)))
	}
	if seconds := e.Facts["retryAfter"]; seconds != "" {
		h.Set("Retry-After", seconds)
	}
	p.tellApplied(h)
	p.tellAttempts(h)
	p.tellReplayed(h)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	p.closeUnread()
	p.w.WriteHeader(status)
	// A caller that has gone can't be told.
	_, _ = p.w.Write(body)
}
