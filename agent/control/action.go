package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Action is something that a running agent can be told to do.
type Action struct {
	path  string
	serve func(ctx context.Context, in json.RawMessage) (any, error)
}

// On makes an Action of a function: it is called with what was sent to the path,
// such as /pause, and what it returns is the answer.
func On[In, Out any](path string, do func(ctx context.Context, in In) (Out, error)) Action {
	return Action{path, func(ctx context.Context, raw json.RawMessage) (any, error) {
		var in In
		if err := json.Unmarshal(raw, &in); err != nil {
			return nil, fmt.Errorf("the agent does not understand what was asked; is it of another version? %w", err)
		}
		return do(ctx, in)
	}}
}

// maxAsked is the longest that may be sent to an Action, in bytes.
const maxAsked = 64 << 10

// ServeHTTP answers the agent's own commands.
func (a Action) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAsked))
	if err != nil {
		http.Error(w, "the request can't be read", http.StatusBadRequest)
		return
	}
	out, err := a.serve(r.Context(), raw)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	answer(w, out)
}

// Tell has the agent that runs with this data directory do what an Action of the
// path does, and reads its answer into out. ErrNotRunning where none runs.
func Tell(ctx context.Context, dir, path string, in, out any) error {
	raw, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("tell the agent: %w", err)
	}
	answer, err := call(ctx, dir, http.MethodPost, path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("read the agent's answer: %w", err)
	}
	return nil
}

// refusal is the agent's own word on what it was asked.
func refusal(status int, text []byte) error {
	said := strings.TrimSpace(string(text))
	switch status {
	case http.StatusUnprocessableEntity:
		return errors.New(said)
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return errors.New("the agent that runs does not know this command: it is of an older version. Restart it")
	}
	return ErrNotRunning // another program has taken the port
}
