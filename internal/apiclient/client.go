// Package apiclient speaks the relay's REST API for the programs that this
// repository is developed with: the development runner, the benchmark and the
// end-to-end tests. It knows the contract only, and nothing of the relay's
// insides, so that what it does anybody's client can do.
package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Client calls one relay with one API token.
type Client struct {
	Base  string // such as http://127.0.0.1:8080, without a path
	Token string
	HTTP  *http.Client
}

// Problem is an answer with a status other than 2xx.
type Problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Hint   string `json:"hint"`
	// Outcome says, for a request meant for a target, whether it was sent.
	Outcome string `json:"outcome"`
	Errors  []struct {
		Path    string `json:"path"`
		Message string `json:"message"`
	} `json:"errors"`
}

func (p *Problem) Error() string {
	s := fmt.Sprintf("%d %s: %s", p.Status, p.Code, p.Detail)
	for _, e := range p.Errors {
		s += fmt.Sprintf("; %s: %s", e.Path, e.Message)
	}
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}

// Request makes a request with the token; path begins with a slash and may
// hold a query.
func (c *Client) Request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.Base+path, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+c.Token)
	return r, nil
}

// Do sends in, where it is not nil, as JSON, and reads the answer into out,
// where that is not nil. An answer other than 2xx is a *Problem.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	r, err := c.Request(ctx, method, path, body)
	if err != nil {
		return err
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := c.HTTP.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if res.StatusCode/100 != 2 {
		p := &Problem{}
		if json.Unmarshal(b, p) != nil || p.Code == "" {
			p.Detail = string(b)
		}
		p.Status = res.StatusCode
		return fmt.Errorf("%s %s: %w", method, path, p)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s %s: %w in %s", method, path, err, b)
	}
	return nil
}

// Agent is an agent as the API shows it.
type Agent struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Status    string `json:"status"`
	Instances []struct {
		ID       string `json:"id"`
		Hostname string `json:"hostname"`
		OS       string `json:"os"`
		Version  string `json:"version"`
		InFlight int    `json:"inFlight"`
	} `json:"instances"`
}

// Agent reads one agent.
func (c *Client) Agent(ctx context.Context, id string) (Agent, error) {
	var a Agent
	err := c.Do(ctx, "GET", "/api/v1/agents/"+id, nil, &a)
	return a, err
}

// CreateAgent makes an agent, on no machine yet.
func (c *Client) CreateAgent(ctx context.Context, name string) (Agent, error) {
	var a Agent
	err := c.Do(ctx, "POST", "/api/v1/agents", map[string]string{"name": name}, &a)
	return a, err
}

// EnrolmentCode asks for a one-time code by which one machine becomes an
// instance of the agent.
func (c *Client) EnrolmentCode(ctx context.Context, agentID string) (string, error) {
	var e struct {
		Code string `json:"code"`
	}
	err := c.Do(ctx, "POST", "/api/v1/agents/"+agentID+"/enrollments", nil, &e)
	return e.Code, err
}

// AwaitAgent waits until the agent has the given status.
func (c *Client) AwaitAgent(ctx context.Context, id string, statuses ...string) error {
	var last string
	err := poll(ctx, func() bool {
		a, err := c.Agent(ctx, id)
		if err != nil {
			last = err.Error()
			return false
		}
		last = "it is " + a.Status
		return slices.Contains(statuses, a.Status)
	})
	if err != nil {
		return fmt.Errorf("the agent did not become %s: %s", strings.Join(statuses, " or "), last)
	}
	return nil
}

// AwaitReady waits until the relay answers /readyz with 200.
func (c *Client) AwaitReady(ctx context.Context) error {
	last := "no answer"
	err := poll(ctx, func() bool {
		r, err := http.NewRequestWithContext(ctx, "GET", c.Base+"/readyz", nil)
		if err != nil {
			last = err.Error()
			return false
		}
		res, err := c.HTTP.Do(r)
		if err != nil {
			last = err.Error()
			return false
		}
		res.Body.Close()
		last = res.Status
		return res.StatusCode == http.StatusOK
	})
	if err != nil {
		return fmt.Errorf("the relay at %s did not become ready: %s", c.Base, last)
	}
	return nil
}

// poll calls done until it is true or ctx ends.
func poll(ctx context.Context, done func() bool) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
