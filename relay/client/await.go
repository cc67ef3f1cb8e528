package client

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// AwaitAgent waits until an agent has the given status, as after an
// installation. Its error names the last status.
func (c *Client) AwaitAgent(ctx context.Context, id, status string) error {
	last := ""
	for {
		a, err := c.Agent(ctx, id)
		switch {
		case err == nil && a.Status == status:
			return nil
		case err == nil:
			last = "it is " + a.Status
		case ctx.Err() == nil:
			last = err.Error()
		}
		if !pause(ctx) {
			return fmt.Errorf("the agent did not become %s: %s: %w", status, last, context.Cause(ctx))
		}
	}
}

// AwaitReady waits until the relay is ready to serve.
func (c *Client) AwaitReady(ctx context.Context) error {
	last := ""
	for {
		err := c.ready(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err.Error()
		}
		if !pause(ctx) {
			return fmt.Errorf("the relay at %s did not become ready: %s: %w", c.Base, last, context.Cause(ctx))
		}
	}
}

func (c *Client) ready(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, "GET", c.Base+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := c.http().Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}

// pause is between two looks; false: ctx has ended.
func pause(ctx context.Context) bool {
	timer := time.NewTimer(50 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
