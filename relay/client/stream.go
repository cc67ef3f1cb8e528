package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"
)

// eventLimit bounds one line of a stream; the longest are steps of tests, whose
// bodies the relay cuts at 16 KiB.
const eventLimit = 4 << 20

type streamEvent struct {
	name string
	data []byte
}

// readStream reads server-sent events (HTML standard, section 9.2.6) until the
// stream ends, which is no error.
func readStream(r io.Reader) iter.Seq2[streamEvent, error] {
	return func(yield func(streamEvent, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, eventLimit)
		var e streamEvent
		for lines.Scan() {
			line := lines.Bytes()
			if len(line) == 0 {
				if e.data != nil && !yield(e, nil) {
					return
				}
				e = streamEvent{}
				continue
			}
			field, value, _ := bytes.Cut(line, []byte(":"))
			value = bytes.TrimPrefix(value, []byte(" "))
			switch string(field) {
			case "event":
				e.name = string(value)
			case "data":
				if e.data != nil {
					e.data = append(e.data, '\n')
				}
				e.data = append(e.data, value...)
			}
		}
		if err := lines.Err(); err != nil {
			yield(streamEvent{}, err)
		}
	}
}

// follow opens a stream and makes a T of each event. It ends when ctx does, which
// is no error, or when the relay closes the stream, as it does before it stops.
func follow[T any](ctx context.Context, c *Client, path string, make func(streamEvent) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		resp, err := c.send(ctx, "GET", path, http.Header{"Accept": {"text/event-stream"}}, nil)
		if err != nil {
			yield(none, err)
			return
		}
		defer resp.Body.Close()
		for e, err := range readStream(resp.Body) {
			if err != nil {
				if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
					yield(none, fmt.Errorf("GET %s: %w", path, err))
				}
				return
			}
			made, err := make(e)
			if !yield(made, err) || err != nil {
				return
			}
		}
	}
}

// streamed posts in, calls on for each event of the name, and returns the result
// that comes last. Where on is nil, the result alone is asked for.
func streamed[Result, Item any](ctx context.Context, c *Client, path string, in any, name string, on func(Item)) (Result, error) {
	var result Result
	if on == nil {
		err := c.Do(ctx, "POST", path, in, &result)
		return result, err
	}
	resp, err := c.send(ctx, "POST", path, http.Header{"Accept": {"text/event-stream"}}, in)
	if err != nil {
		return result, err
	}
	defer resp.Body.Close()
	for event, err := range readStream(resp.Body) {
		if err != nil {
			return result, fmt.Errorf("POST %s: %w", path, err)
		}
		switch event.name {
		case name:
			var item Item
			if err := json.Unmarshal(event.data, &item); err != nil {
				return result, fmt.Errorf("POST %s: a %s is not what the API describes: %w", path, name, err)
			}
			on(item)
		case "result":
			return result, json.Unmarshal(event.data, &result)
		}
	}
	return result, fmt.Errorf("POST %s: %w", path, errEarly)
}

var errEarly = errors.New("the stream ended before the result came")

// Event says that something has changed.
type Event struct {
	// Type is sync, which comes first and again where events were missed: read
	// the state you care about; or agent or connection: read the one with ID.
	Type string `json:"type"`
	ID   string `json:"id"`
}

// Events follows what changes in the workspace, until ctx ends or the relay stops.
func (c *Client) Events(ctx context.Context) iter.Seq2[Event, error] {
	return follow(ctx, c, call("events"), func(e streamEvent) (Event, error) {
		out := Event{Type: e.name}
		return out, json.Unmarshal(e.data, &out)
	})
}

// LogOptions say which lines of an agent's log are wanted.
type LogOptions struct {
	Level    string // no less than this: debug, info (""), warn or error
	Instance string // of this machine only
}

// LogEvent is a line of a machine's log, or what is said in place of one.
type LogEvent struct {
	// Type is log; dropped, where Lines were lost before the next; or off, where
	// the machine's site does not share its log.
	Type       string          `json:"-"`
	InstanceID string          `json:"instanceId"`
	Hostname   string          `json:"hostname"`
	Lines      int             `json:"lines"`
	Time       time.Time       `json:"time"`
	Level      string          `json:"level"`
	Logger     string          `json:"logger"`
	Message    string          `json:"msg"`
	Fields     json.RawMessage `json:"fields"`
}

// AgentLogs follows what an agent's machines log, from now on, until ctx ends or
// the relay stops.
func (c *Client) AgentLogs(ctx context.Context, agentID string, o LogOptions) iter.Seq2[LogEvent, error] {
	path := with(call("agents", agentID, "logs"), "level", o.Level, "instance", o.Instance)
	return follow(ctx, c, path, func(e streamEvent) (LogEvent, error) {
		out := LogEvent{Type: e.name}
		return out, json.Unmarshal(e.data, &out)
	})
}
