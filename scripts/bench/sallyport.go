package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"time"

	"sallyport/internal/apiclient"
	"sallyport/internal/child"
)

// sallyportWay reaches the target through the binaries as built, by the public
// door: the proxy of a saved connection, with an API token, signed in. The near
// and the far path have a relay and an agent each, since an agent speaks to its
// relay under one address.
//
// secure: with TLS both on the door and in the tunnel, as without a balancer
// that ends TLS before the relay.
func (s *setup) sallyportWay(ctx context.Context, secure bool) (*way, error) {
	w := &way{}
	for _, path := range []struct {
		far  bool
		door **door
	}{{false, &w.near}, {true, &w.far}} {
		if !s.choice.needs(path.far) {
			continue
		}
		r, err := s.startRelay(ctx, path.far, secure)
		if err != nil {
			return nil, err
		}
		if *path.door, err = r.connect(ctx); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, r.log)
		}
	}
	if w.near != nil && !secure {
		w.near.idle = s.idleAgent
	}
	return w, nil
}

// relay is a relay that runs.
type relay struct {
	setup  *setup
	dir    string
	log    logFile
	secure bool
	public string // the URL by which its agents know it
	api    *apiclient.Client
	*child.Child
}

// startRelay starts a relay, known to its agents by an address at the end of
// the long path or by its own.
func (s *setup) startRelay(ctx context.Context, far, secure bool) (*relay, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	listen := fmt.Sprintf("127.0.0.1:%d", port)
	public := listen
	if far {
		if public, err = s.longPath(listen); err != nil {
			return nil, err
		}
	}
	r := &relay{setup: s, dir: filepath.Join(s.work, fmt.Sprint("relay-", port)), secure: secure}
	args := []string{"serve", "--listen", listen, "--data", filepath.Join(r.dir, "relay")}
	scheme, transport := "http", &http.Transport{}
	if secure {
		scheme, transport.TLSClientConfig = "https", s.certificate.trust
		args = append(args, "--tls-cert", s.certificate.certFile, "--tls-key", s.certificate.keyFile)
	}
	s.undo = append(s.undo, transport.CloseIdleConnections)
	r.public = scheme + "://" + public
	r.api = &apiclient.Client{
		Base: scheme + "://" + listen, Token: "sally_bench" + rand.Text(),
		HTTP: &http.Client{Timeout: 10 * time.Second, Transport: transport},
	}
	r.Child, r.log, err = s.launch(child.Options{
		Name: "relay", Path: filepath.Join(s.bin, "sallyport-relay"),
		Args: append(args, "--public-url", r.public), Env: []string{"SALLYPORT_BOOTSTRAP_TOKEN=" + r.api.Token},
	})
	if err != nil {
		return nil, err
	}
	if err := await(ctx, r.Child, func() error { return r.api.Do(ctx, "GET", "/readyz", nil, nil) }); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, r.log)
	}
	return r, nil
}

// connect starts an agent of the relay, and saves a connection to each of the
// applications.
func (r *relay) connect(ctx context.Context) (*door, error) {
	id, agent, err := r.startAgent(ctx)
	if err != nil {
		return nil, err
	}
	parts := append(r.setup.ends(), part{"relay", r.PID()}, part{"agent", agent.PID()})
	d, err := r.doorTo(ctx, id, "http://"+r.setup.plain, parts)
	if err != nil {
		return nil, err
	}
	d.https, err = r.doorTo(ctx, id, "https://"+r.setup.secure, parts)
	return d, err
}

func (r *relay) startAgent(ctx context.Context) (id string, agent *child.Child, err error) {
	made, err := r.api.CreateAgent(ctx, "bench")
	if err != nil {
		return "", nil, err
	}
	code, err := r.api.EnrolmentCode(ctx, made.ID)
	if err != nil {
		return "", nil, err
	}
	path, data := filepath.Join(r.setup.bin, "sallyport-agent"), filepath.Join(r.dir, "agent")
	enroll := []string{"enroll", "--relay", r.public, "--code", code, "--data", data}
	if r.secure {
		enroll = append(enroll, "--ca-file", r.setup.certificate.certFile)
	}
	if out, err := exec.CommandContext(ctx, path, enroll...).CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("enrol the agent: %w: %s", err, out)
	}
	agent, log, err := r.setup.launch(child.Options{Name: "agent", Path: path, Args: []string{
		"run", "--data", data, "--target-ca-file", r.setup.certificate.certFile}})
	if err != nil {
		return "", nil, err
	}
	err = await(ctx, agent, func() error {
		now, err := r.api.Agent(ctx, made.ID)
		if err == nil && now.Status != "online" {
			err = fmt.Errorf("the agent is %s", now.Status)
		}
		return err
	})
	if err != nil {
		return "", nil, fmt.Errorf("%w\n%s", err, log)
	}
	return made.ID, agent, nil
}

// doorTo saves a connection to an application, which its first request signs
// in to.
func (r *relay) doorTo(ctx context.Context, agentID, baseURI string, parts []part) (*door, error) {
	var saved struct {
		ID string `json:"id"`
	}
	err := r.api.Do(ctx, "POST", "/api/v1/connections", map[string]any{
		"name": baseURI, "mode": "on-premise", "agentId": agentID, "baseUri": baseURI,
		"auth": map[string]any{"type": "cookie", "cookie": map[string]any{"method": "POST", "uri": "/session", "body": credentials}},
		"ping": map[string]any{"uri": "/small", "successPath": "ok", "successValues": []string{"true"}},
	}, &saved)
	if err != nil {
		return nil, err
	}
	address := r.api.Base + "/api/v1/connections/" + saved.ID
	root := &door{url: address, header: http.Header{"Authorization": {"Bearer " + r.api.Token}}}
	d := &door{url: address + "/proxy", header: root.header, parts: parts}
	if r.secure {
		d.tls = r.setup.certificate.trust
	}
	d.test = func(ctx context.Context, c *http.Client) error {
		return root.do(ctx, c, http.MethodPost, "/test", nil, 0, passed)
	}
	c, done := d.client()
	defer done()
	return d, d.get(ctx, c, "/small")
}

// passed reads the result of a test.
func passed(res *http.Response) error {
	var result struct {
		OK    bool              `json:"ok"`
		Steps []json.RawMessage `json:"steps"`
	}
	if err := json.NewDecoder(res.Body).Decode(&result); err != nil {
		return err
	}
	if !result.OK {
		return fmt.Errorf("the test failed: %s", result.Steps)
	}
	return nil
}
