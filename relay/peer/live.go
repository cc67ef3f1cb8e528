package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"sallyport/relay/hub"
)

// askTimeout bounds the short questions among relays.
const askTimeout = 2 * time.Second

// maxQuestion is the longest question, in bytes.
const maxQuestion = 1 << 20

// Instances are the machines of an agent that hold a tunnel to any relay now.
func (p *Peers) Instances(agentID string) []hub.Instance {
	here := p.hub.Instances(agentID)
	ctx, cancel := context.WithTimeout(p.life, listTimeout)
	defer cancel()
	return joined(here, p.elsewhere(ctx, map[string][]Holding{agentID: p.holdings(ctx, agentID)})[agentID])
}

// Elsewhere are the machines of some agents that hold a tunnel to other relays,
// as those say themselves; where one can't be asked, as the store says.
func (p *Peers) Elsewhere(ctx context.Context, agentIDs []string) map[string][]hub.Instance {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	found, err := p.opts.Roll.Holdings(ctx, agentIDs)
	if err != nil {
		p.log.Warn("machines at other relays can't be looked up", zap.Error(err))
		return nil
	}
	held := make(map[string][]Holding)
	for _, h := range p.believed(found) {
		held[h.AgentID] = append(held[h.AgentID], h)
	}
	return p.elsewhere(ctx, held)
}

// elsewhere asks the relays that hold the agents.
func (p *Peers) elsewhere(ctx context.Context, held map[string][]Holding) map[string][]hub.Instance {
	byRelay := make(map[Relay][]string)
	for id, all := range held {
		for _, h := range all {
			if !slices.Contains(byRelay[h.Relay], id) {
				byRelay[h.Relay] = append(byRelay[h.Relay], id)
			}
		}
	}
	var mu sync.Mutex // guards said
	said := make(map[Relay]map[string][]hub.Instance)
	var asking sync.WaitGroup
	for r, ids := range byRelay {
		l := p.linkTo(r)
		if l == nil {
			continue
		}
		asking.Go(func() {
			var answer map[string][]hub.Instance
			if err := l.ask(ctx, pathInstances, ids, &answer); err != nil {
				return // the store has to do
			}
			mu.Lock()
			defer mu.Unlock()
			said[r] = answer
		})
	}
	asking.Wait()
	all := make(map[string][]hub.Instance)
	for id, holdings := range held {
		for _, h := range holdings {
			if live, asked := said[h.Relay]; asked {
				all[id] = joined(all[id], live[id])
			} else {
				all[id] = joined(all[id], []hub.Instance{h.Instance})
			}
		}
	}
	return all
}

// joined adds machines that are not listed yet. One that is moving is at two
// relays, and counts once.
func joined(all, more []hub.Instance) []hub.Instance {
	for _, in := range more {
		if !slices.ContainsFunc(all, func(other hub.Instance) bool { return other.ID == in.ID }) {
			all = append(all, in)
		}
	}
	return all
}

// errNoLink: there is no connection to the relay now.
var errNoLink = errors.New("it is not connected")

// ask asks the other relay a short question.
func (l *link) ask(ctx context.Context, path string, question, answer any) error {
	raw, err := json.Marshal(question)
	if err != nil {
		return err
	}
	conn, err := l.take("")
	if err != nil {
		return err
	}
	defer l.release("")
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+l.relay.Address+path, bytes.NewReader(raw))
	if err != nil {
		conn.Release()
		return err
	}
	req.GetBody = nil
	resp, err := conn.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &unexpectedError{resp.StatusCode}
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}

// tellInstances answers which machines hold tunnels to this relay.
func (p *Peers) tellInstances(w http.ResponseWriter, r *http.Request) {
	var agentIDs []string
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion)).Decode(&agentIDs); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	here := make(map[string][]hub.Instance, len(agentIDs))
	for _, id := range agentIDs {
		if machines := p.hub.Instances(id); len(machines) > 0 {
			here[id] = machines
		}
	}
	answer(w, here)
}

func answer(w http.ResponseWriter, what any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(what) // an error means that the other relay is gone
}

// revoked is a machine whose enrolment has ended, or with no InstanceID all of
// an agent.
type revoked struct {
	AgentID    string `json:"agentId"`
	InstanceID string `json:"instanceId"`
	Reason     string `json:"reason"`
}

// Disconnect ends the tunnels of an instance, or with instanceID "" of an agent,
// here and at the other relays: for one that was revoked.
func (p *Peers) Disconnect(agentID, instanceID, reason string) {
	p.hub.Disconnect(agentID, instanceID, reason)
	told := revoked{agentID, instanceID, reason}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	for relayID := range p.links {
		p.work.Go(func() { p.disconnectAt(relayID, told) })
	}
}

// disconnectTries and disconnectPause are how often, and how far apart, a relay is
// told that does not answer. One that stays away finds it in the store by itself,
// with what it notes there next.
const (
	disconnectTries = 10
	disconnectPause = time.Second
)

// disconnectAt tells a relay, by whichever link there is to it at each try.
func (p *Peers) disconnectAt(relayID string, told revoked) {
	var err error
	for range disconnectTries {
		p.mu.Lock()
		l := p.links[relayID]
		p.mu.Unlock()
		if l == nil { // it is gone
			return
		}
		if err = l.ask(p.life, pathDisconnect, told, nil); err == nil || p.life.Err() != nil {
			return
		}
		pause := time.NewTimer(disconnectPause)
		select {
		case <-p.life.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
	p.log.Warn("a relay can't be told to end tunnels", zap.String("relay", relayID), zap.String("agent", told.AgentID),
		zap.String("instance", told.InstanceID), zap.Error(err))
}

// disconnect ends tunnels that another relay says are revoked.
func (p *Peers) disconnect(w http.ResponseWriter, r *http.Request) {
	var told revoked
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion)).Decode(&told)
	if err == nil && told.AgentID == "" {
		err = errors.New("it names no agent")
	}
	if err != nil {
		http.Error(w, fmt.Sprintf("what is revoked: %v", err), http.StatusBadRequest)
		return
	}
	p.hub.Disconnect(told.AgentID, told.InstanceID, told.Reason)
	w.WriteHeader(http.StatusOK)
}
