package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/edge"
)

// Problem is every error of the API (RFC 9457). One shape, so that a client
// needs one reader: code for programs, detail and hint for people, errors for
// the fields of a form.
type Problem struct {
	Type      string            `json:"type" doc:"Always about:blank: code tells problems apart." example:"about:blank"`
	Title     string            `json:"title" doc:"The status in words." example:"Unprocessable Entity"`
	Status    int               `json:"status" example:"422"`
	Code      proto.Code        `json:"code" doc:"For programs. New codes may be added." example:"validation"`
	Detail    string            `json:"detail" doc:"What happened, to what." example:"The connection has 2 faults."`
	Hint      string            `json:"hint,omitempty" doc:"What to do next."`
	Outcome   proto.Outcome     `json:"outcome,omitempty" enum:"not_sent,sent,unknown" doc:"For requests meant for an application: whether it may have acted on the request."`
	Reason    proto.Reason      `json:"reason,omitempty" doc:"Finer than code."`
	Facts     map[string]string `json:"facts,omitempty" doc:"What is known about the failure, such as the address that was tried."`
	RequestID string            `json:"requestId,omitempty" doc:"Under which the logs of relay and agent have more."`
	Errors    []FieldError      `json:"errors,omitempty" doc:"Every faulty field at once."`

	header http.Header // fields that go with the answer
}

// FieldError is one faulty field of a request.
type FieldError struct {
	Path    string `json:"path" doc:"Of the field in the body, such as auth.cookie.uri or headers[2].value; query.NAME or path.NAME for parameters." example:"baseUri"`
	Message string `json:"message" example:"must begin with http:// or https://"`
}

func (p *Problem) Error() string           { return string(p.Code) + ": " + p.Detail }
func (p *Problem) GetStatus() int          { return p.Status }
func (p *Problem) GetHeaders() http.Header { return p.header }

// ContentType gives problems their own media type.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

func newProblem(status int, code proto.Code, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: statusText(status), Status: status, Code: code, Detail: detail}
}

// invalid is the problem of faulty fields.
func invalid(fields []FieldError) *Problem {
	p := newProblem(http.StatusUnprocessableEntity, proto.CodeValidation, "One field is faulty.")
	switch {
	case len(fields) == 1 && fields[0].Path == "": // the document as a whole
		p.Detail = fields[0].Message
	case len(fields) == 1:
		p.Detail = fields[0].Path + ": " + fields[0].Message
	default:
		p.Detail = spell(len(fields)) + " fields are faulty; errors names each."
	}
	p.Errors = fields
	return p
}

// problemOf translates an error of the rooms behind this door. An error that is
// none of theirs is a fault of the relay: its text stays in the log.
func (h *handler) problemOf(ctx context.Context, err error) *Problem {
	var p *Problem
	var fields *connection.Invalid
	var person *account.Invalid
	switch {
	case errors.As(err, &p):
	case errors.As(err, &fields):
		p = invalid(fieldsOf(fields))
	case errors.As(err, &person):
		p = invalid(faultsOf(person))
	case proto.AsError(err) != nil:
		e := proto.AsError(err)
		p = newProblem(e.Code.Status(), e.Code, e.Detail)
		p.Hint, p.Outcome, p.Reason, p.Facts = e.Hint, e.Outcome, e.Reason, e.Facts
		if seconds := e.Facts["retryAfter"]; seconds != "" {
			p.header = http.Header{"Retry-After": {seconds}}
		}
		if e.Code == proto.CodeInternal {
			h.logFault(ctx, err)
		}
	case errors.Is(err, context.Canceled):
		p = newProblem(proto.CodeCanceled.Status(), proto.CodeCanceled, "The caller went away before the answer was ready.")
	case errors.Is(err, context.DeadlineExceeded):
		p = newProblem(http.StatusServiceUnavailable, proto.CodeInternal, "The relay did not get its own answer in time.")
		p.Hint = "Try again; if it stays, look at the relay's database."
		h.logFault(ctx, err)
	default:
		h.logFault(ctx, err)
		p = newProblem(http.StatusInternalServerError, proto.CodeInternal, "The relay met a fault of its own.")
		p.Hint = "Its log says more under this request id."
	}
	p.RequestID = edge.RequestID(ctx)
	return p
}

func fieldsOf(in *connection.Invalid) []FieldError {
	fields := make([]FieldError, 0, len(in.Fields))
	for _, f := range in.Fields {
		fields = append(fields, FieldError{Path: f.Path, Message: f.Message})
	}
	return fields
}

func faultsOf(in *account.Invalid) []FieldError {
	fields := make([]FieldError, 0, len(in.Fields))
	for _, f := range in.Fields {
		fields = append(fields, FieldError{Path: f.Path, Message: f.Message})
	}
	return fields
}

// writeProblem answers with p outside of huma.
func writeProblem(w http.ResponseWriter, p *Problem) {
	for name, values := range p.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set(proto.HeaderError, string(p.Code))
	if p.Status == http.StatusRequestEntityTooLarge {
		w.Header().Set("Connection", "close") // the rest of the body may never come
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the caller is gone, if this fails
}

// ownProblems turns the errors that huma makes by itself into ours. Huma would
// echo the faulty value, which may hold a secret: values are dropped.
func ownProblems(ctx huma.Context, _ string, body any) (any, error) {
	switch e := body.(type) {
	case *huma.ErrorModel:
		p := newProblem(e.Status, codeOf(e.Status), e.Detail)
		for _, detail := range e.Errors {
			p.Errors = append(p.Errors, faultOf(detail))
		}
		switch {
		case len(p.Errors) == 1 && p.Errors[0].Path == "": // no field: the body as a whole
			p.Detail, p.Errors = p.Errors[0].Message, nil
		case e.Status == http.StatusUnprocessableEntity && len(p.Errors) > 0:
			p = invalid(p.Errors)
		case e.Detail == "request body is required":
			p.Detail = "This call needs a JSON document as its body."
		}
		if strings.HasPrefix(strings.ToLower(p.Detail), huma.ErrUnknownContentType.Error()) {
			p.Hint = "Send JSON, with Content-Type: application/json."
		}
		p.RequestID = edge.RequestID(ctx.Context())
		ctx.SetHeader("Content-Type", "application/problem+json")
		ctx.SetHeader(proto.HeaderError, string(p.Code))
		return p, nil
	case *Problem:
		if e.RequestID == "" {
			e.RequestID = edge.RequestID(ctx.Context())
		}
		ctx.SetHeader(proto.HeaderError, string(e.Code))
	}
	return body, nil
}

func codeOf(status int) proto.Code {
	switch status {
	case http.StatusNotFound:
		return proto.CodeNotFound
	case http.StatusRequestEntityTooLarge:
		return proto.CodeTooLarge
	case http.StatusInternalServerError:
		return proto.CodeInternal
	}
	return proto.CodeValidation
}

func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "Client Closed Request" // 499, which net/http does not know
}

func spell(n int) string {
	words := []string{"No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve"}
	if n < len(words) {
		return words[n]
	}
	return "Many"
}
