package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"time"

	"sallyport/internal/apiclient"
	"sallyport/internal/child"
	"sallyport/internal/testkit"
)

// sallyportWay reaches the target through the binaries as built, by the public
// door: the proxy of a saved connection, with an API token. The near and the
// far path have a relay and an agent each, since an agent speaks to its relay
// under one address.
func (s *setup) sallyportWay(ctx context.Context) (*way, error) {
	w := &way{}
	for _, path := range []struct {
		name string
		far  bool
		door **door
	}{{"near", false, &w.near}, {"far", true, &w.far}} {
		if !s.choice.needs(path.far) {
			continue
		}
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		listen := fmt.Sprintf("127.0.0.1:%d", port)
		public := listen
		if path.far {
			if public, err = s.longPath(listen); err != nil {
				return nil, err
			}
		}
		if *path.door, err = s.relayAndAgent(ctx, path.name, listen, public); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// relayAndAgent starts a relay that listens on one address and is known to its
// agent under another, an agent, and a connection to the target.
func (s *setup) relayAndAgent(ctx context.Context, name, listen, public string) (*door, error) {
	dir := filepath.Join(s.work, name)
	token := "sally_bench" + rand.Text()
	api := &apiclient.Client{Base: "http://" + listen, Token: token, HTTP: &http.Client{Timeout: 10 * time.Second}}

	log := &testkit.Log{}
	relay, err := s.launch(child.Options{
		Name: "relay", Path: filepath.Join(s.bin, "sallyport-relay"), Output: log,
		Args: []string{"serve", "--listen", listen, "--public-url", "http://" + public, "--data", filepath.Join(dir, "relay")},
		Env:  []string{"SALLYPORT_BOOTSTRAP_TOKEN=" + token},
	})
	if err != nil {
		return nil, err
	}
	err = await(ctx, relay, func() error { return api.Do(ctx, "GET", "/readyz", nil, nil) })
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, log)
	}
	agent, err := api.CreateAgent(ctx, "bench")
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", name, err, log)
	}
	code, err := api.EnrolmentCode(ctx, agent.ID)
	if err != nil {
		return nil, err
	}
	path, data := filepath.Join(s.bin, "sallyport-agent"), filepath.Join(dir, "agent")
	if out, err := exec.CommandContext(ctx, path, "enroll", "--relay", "http://"+public, "--code", code, "--data", data).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("enrol the agent: %w: %s", err, out)
	}
	running, err := s.launch(child.Options{Name: "agent", Path: path, Args: []string{"run", "--data", data}, Output: log})
	if err != nil {
		return nil, err
	}
	err = await(ctx, running, func() error {
		now, err := api.Agent(ctx, agent.ID)
		if err == nil && now.Status != "online" {
			err = fmt.Errorf("the agent is %s", now.Status)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, log)
	}
	var connection struct {
		ID string `json:"id"`
	}
	err = api.Do(ctx, "POST", "/api/v1/connections", map[string]any{
		"name": "bench", "mode": "on-premise", "agentId": agent.ID, "baseUri": "http://" + s.target,
		"auth": map[string]any{"type": "none"},
	}, &connection)
	if err != nil {
		return nil, err
	}
	return &door{
		url:    api.Base + "/api/v1/connections/" + connection.ID + "/proxy",
		header: http.Header{"Authorization": {"Bearer " + token}},
		parts:  append(s.ends(), part{"relay", relay.PID()}, part{"agent", running.PID()}),
	}, nil
}
