package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"sallyport/agent/config"
	"sallyport/agent/egress"
	"sallyport/internal/buildinfo"
	"sallyport/proto"
)

// leave ends the enrolment of an identity at its relay, so that no machine is
// left there that nobody is behind. That it has ended already is no error.
func leave(ctx context.Context, c config.Config, w World, identity config.Identity) error {
	ctx, cancel := context.WithTimeout(ctx, enrollTimeout)
	defer cancel()
	c.CAFile = cmp.Or(c.CAFile, identity.CAFile)
	relay, err := config.ParseRelay(identity.Relay)
	if err != nil {
		return err
	}
	way, err := newEgress(c, w, nil)
	if err != nil {
		return err
	}
	target := relay.JoinPath(proto.EnrollPath)
	target.RawQuery = url.Values{"agentId": {identity.AgentID}, "instanceId": {identity.InstanceID}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, target.String(), nil)
	if err != nil {
		return fmt.Errorf("ask the relay: %w", err)
	}
	req.Header.Set("Accept", "application/problem+json")
	req.Header.Set("User-Agent", "sallyport-agent/"+buildinfo.Version())
	req.Header.Set(proto.HeaderLeave, proto.SignLeave(identity.Key(), identity.RelayID, identity.AgentID, identity.InstanceID))
	resp, err := way.HTTPTransport().RoundTrip(req)
	if err != nil {
		return fmt.Errorf("the relay %s was not reached: %w", relay, egress.Explain(relay.Host, err))
	}
	defer resp.Body.Close()
	var problem proto.Error
	if resp.StatusCode == http.StatusNoContent {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err := json.Unmarshal(text, &problem); err != nil || problem.Detail == "" {
		return fmt.Errorf("the relay answered %q", resp.Status)
	}
	if problem.Code == proto.CodeNotFound {
		return nil
	}
	return errors.New("the relay refused: " + problem.Detail)
}
