package main

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"time"

	"go.uber.org/zap"

	"sallyport/agent/link"
)

// idleMemory is what one idle client of a way costs on the side of the relay.
func idleMemory(ctx context.Context, d *door, p plan) (sample, error) {
	if d.idle == nil {
		return sample{}, nil
	}
	bytes, err := d.idle(ctx, p)
	if err != nil || bytes <= 0 {
		return sample{}, err
	}
	return sample{values: []float64{bytes / 1000}}, nil
}

// idleAgent has many agents of one machine each connect to a relay of its own,
// and divides what the relay grows by through their number. The first of them
// don't count: with them comes what the relay needs once. Their links are the
// agent's own code, with both tunnels, and run in this process.
func (s *setup) idleAgent(ctx context.Context, p plan) (float64, error) {
	r, err := s.startRelay(ctx, false, false)
	if err != nil {
		return 0, err
	}
	defer func() { _ = r.Stop(context.Background()) }()
	crowd := &crowd{relay: r}
	defer crowd.leave()
	first := p.idleAgents / 3
	if err := crowd.join(ctx, first); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, r.log)
	}
	before, err := r.settled(ctx, p.quiet)
	if err != nil {
		return 0, err
	}
	if err := crowd.join(ctx, p.idleAgents); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, r.log)
	}
	after, err := r.settled(ctx, p.quiet)
	return float64(after-before) / float64(p.idleAgents), err
}

// settled is how much memory the relay has in RAM once it was left alone: what a
// crowd has cost in passing is garbage by then, and given back to the system.
func (r *relay) settled(ctx context.Context, quiet time.Duration) (int64, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(quiet):
	}
	return residentBytes(r.PID()), nil
}

// crowd is agents whose links run in this process.
type crowd struct {
	relay *relay
	links []*link.Link
	owned sync.WaitGroup
	stop  []context.CancelFunc
}

// join enrols so many more agents, and returns when all of them hold both
// tunnels.
func (c *crowd) join(ctx context.Context, n int) error {
	for range n {
		if err := c.enrol(ctx); err != nil {
			return err
		}
	}
	return await(ctx, c.relay.Child, func() error {
		for i, l := range c.links {
			if st := l.Status(); len(st.Tunnels) != 2 {
				return fmt.Errorf("idle agent %d has %d tunnels: %s", i, len(st.Tunnels), st.LastError)
			}
		}
		return nil
	})
}

func (c *crowd) enrol(ctx context.Context) error {
	api := c.relay.api
	agent, err := api.CreateAgent(ctx, fmt.Sprintf("idle %d", len(c.links)))
	if err != nil {
		return err
	}
	code, err := api.EnrolmentCode(ctx, agent.ID)
	if err != nil {
		return err
	}
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	var enrolled struct {
		InstanceID string `json:"instanceId"`
	}
	err = api.Do(ctx, http.MethodPost, "/api/v1/enroll", map[string]any{
		"code": code, "publicKey": []byte(public), "hostname": "idle", "os": runtime.GOOS, "arch": runtime.GOARCH, "version": "bench",
	}, &enrolled)
	if err != nil {
		return err
	}
	address, err := url.Parse(c.relay.public)
	if err != nil {
		return err
	}
	l := link.New(link.Options{
		Relay:    address,
		Identity: link.Identity{AgentID: agent.ID, InstanceID: enrolled.InstanceID, Key: key},
		Machine:  link.Machine{Hostname: "idle", OS: runtime.GOOS, Arch: runtime.GOARCH, Version: "bench"},
		Serve:    func(context.Context, net.Conn) {},
		Log:      zap.NewNop(),
	})
	running, stop := context.WithCancel(context.Background())
	c.links, c.stop = append(c.links, l), append(c.stop, stop)
	c.owned.Go(func() { _ = l.Run(running) }) // fails only for an address that can't be dialled
	return nil
}

func (c *crowd) leave() {
	for _, stop := range c.stop {
		stop()
	}
	c.owned.Wait()
}

// residentBytes is how much memory a process has in RAM. 0: unknown.
func residentBytes(pid int) int64 {
	return statusField(fmt.Sprintf("/proc/%d/status", pid), "VmRSS") << 10
}

// ownBytes is how much memory a process has to itself, what it shares with
// others left out. 0: unknown.
func ownBytes(pid int) int64 {
	path := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	return (statusField(path, "Private_Clean") + statusField(path, "Private_Dirty")) << 10
}
