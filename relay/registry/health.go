package registry

import (
	"context"
	"time"

	"go.uber.org/zap"

	"sallyport/relay/account"
	"sallyport/relay/store"
)

const (
	// pingAfterSave is how soon a connection is pinged after somebody changed or
	// tested it: when they have had time to see that it is saved.
	pingAfterSave = 3 * time.Second
	// pingAfterReturn is how soon after its agent is back, and pingAfterLoss after
	// one was lost, which mostly is back within seconds.
	pingAfterReturn = 5 * time.Second
	pingAfterLoss   = 20 * time.Second
)

// stateOffline is the one state of package health that this room needs to know.
const stateOffline = "offline"

// ConnectionStatus is how a connection does, as its scheduled pings found it.
type ConnectionStatus struct {
	State     string // online, failing, offline or unknown
	Since     time.Time
	CheckedAt time.Time // zero: it was never pinged
	Message   string    // of the last ping
}

// Run is this relay's run, and Others those of relays that share the store.
func (r *Registry) Run() store.Run { return r.roster.run }

// Others: see Run.
func (r *Registry) Others() []store.Run { return r.roster.elsewhere() }

// pingSoon has a connection pinged that was just changed, within the
// transaction that did so.
func (r *Registry) pingSoon(ctx context.Context, w *store.Workspace, id string) error {
	return w.ScheduleHealth(ctx, id, r.Clock().Add(pingAfterSave))
}

// agentMoved has the connections of an agent pinged that has come or gone: those
// for which that is news. It is not worth failing for.
func (r *Registry) agentMoved(ctx context.Context, workspaceID, agentID string, here bool) {
	w := r.Store.Workspace(workspaceID)
	used, err := w.CountConnections(ctx, []string{agentID})
	if err == nil && used[agentID] > 0 { // hardly worth a write, where thousands of agents come at once
		after := pingAfterLoss
		if here {
			after = pingAfterReturn
		}
		err = w.Together(ctx, func(ctx context.Context, w *store.Workspace) error {
			return w.ScheduleHealthOf(ctx, agentID, stateOffline, here, r.Clock().Add(after))
		})
	}
	if err != nil {
		r.Log.Warn("connections of an agent can't be scheduled for a ping", zap.String("agent", agentID), zap.Error(err))
	}
}

// withHealth adds to connections how they do, and the latencies of their pings.
func (r *Registry) withHealth(ctx context.Context, actor account.Actor, connections []Connection, ids []string) error {
	w := r.workspace(actor)
	healths, err := w.Healths(ctx, ids)
	if err != nil {
		return err
	}
	results, err := w.RecentResults(ctx, ids, latenciesShown)
	if err != nil {
		return err
	}
	for i := range connections {
		c := &connections[i]
		c.Status = ConnectionStatus{State: "unknown"}
		if h, ok := healths[c.ID]; ok {
			c.Status = ConnectionStatus{State: h.State, Since: h.Since, CheckedAt: h.CheckedAt, Message: h.Message}
		}
		var pings []float64
		for j := len(results[c.ID]) - 1; j >= 0; j-- {
			if one := results[c.ID][j]; one.Result == "online" {
				pings = append(pings, one.LatencyMs)
			}
		}
		if len(pings) > 0 { // nobody tests as often
			c.LatencyMs = pings
		}
	}
	return nil
}
