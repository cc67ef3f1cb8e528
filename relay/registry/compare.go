package registry

import (
	"context"
	"slices"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/probe"
)

// Comparable returns a connection that is not saved, as Draft does, and the
// places from which it can be tried: the cloud, and the workspace's agents, or
// those that are named. Which agent the connection itself names does not count,
// since that is what a comparison is to find out.
func (r *Registry) Comparable(ctx context.Context, actor account.Actor, id string, spec connection.Spec, secrets map[string]*string, agentIDs []string) (*connection.Connection, []probe.Place, error) {
	places, err := r.places(ctx, actor, agentIDs)
	if err != nil {
		return nil, nil, err
	}
	if spec.Mode == connection.OnPremise && spec.AgentID == "" {
		spec.Mode = connection.Cloud
		if len(places) > 1 {
			spec.Mode, spec.AgentID = connection.OnPremise, places[1].AgentID
		}
	}
	if spec.Name == "" {
		spec.Name = "Comparison" // it is for people, and may come later
	}
	c, err := r.Draft(ctx, actor, id, spec, secrets)
	return c, places, err
}

// places are the cloud and the agents, those that are online first.
func (r *Registry) places(ctx context.Context, actor account.Actor, agentIDs []string) ([]probe.Place, error) {
	places := []probe.Place{{Mode: connection.Cloud, Name: "Cloud"}}
	if len(agentIDs) > 0 {
		if len(agentIDs) > probe.MaxPlaces-1 {
			return nil, &proto.Error{Code: proto.CodeValidation, Detail: "Too many agents are named.", Hint: "Compare fewer at once."}
		}
		for _, id := range agentIDs {
			agent, err := r.Agent(ctx, actor, id)
			if err != nil {
				return nil, err
			}
			places = append(places, placeOf(agent))
		}
		return places, nil
	}
	agents, _, err := r.Agents(ctx, actor, Page{Limit: 500})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(agents, func(a, b Agent) int { return order(a) - order(b) })
	for _, agent := range agents {
		places = append(places, placeOf(agent))
	}
	return places[:min(len(places), probe.MaxPlaces)], nil
}

func placeOf(a Agent) probe.Place {
	return probe.Place{Mode: connection.OnPremise, AgentID: a.ID, Name: a.Name}
}

// order is how soon an agent is asked: what is offline may as well be left out.
func order(a Agent) int {
	if a.Status == Online {
		return 0
	}
	return 1
}
