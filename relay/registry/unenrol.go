package registry

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/event"
	"sallyport/relay/store"
	"sallyport/relay/throttle"
)

// UnenrolRequest is what a machine sends to end its own enrolment.
type UnenrolRequest struct {
	AgentID, InstanceID string
	Signature           string // see proto.SignLeave
	Address             string // the caller's, as in EnrolRequest
}

// Unenrol ends the enrolment of the machine that asks, as its uninstaller does,
// and closes its tunnels. Its key is the proof.
func (r *Registry) Unenrol(ctx context.Context, req UnenrolRequest) error {
	from := throttle.ByAddress(req.Address)
	if wait := r.enrolTries.Take(from); wait > 0 {
		return triedTooOften(wait, "Too many enrolments were tried to be ended from this address.")
	}
	row, _, err := r.Store.InstanceByID(ctx, req.AgentID, req.InstanceID)
	if errors.Is(err, store.ErrNotFound) {
		return &proto.Error{Code: proto.CodeNotFound, Detail: "This machine is not enrolled here.", Err: err}
	}
	if err != nil {
		return fault(err, "machine")
	}
	if !proto.VerifyLeave(ed25519.PublicKey(row.PublicKey), r.RelayID, req.AgentID, req.InstanceID, req.Signature) {
		return &proto.Error{Code: proto.CodeUnauthorized, Reason: "bad_proof", Detail: "The signature is not that of the machine's key.",
			Hint: "Remove the machine on the agent's page instead."}
	}
	r.enrolTries.Forgive(from)
	machine := account.Actor{WorkspaceID: row.WorkspaceID, Kind: "agent", ID: row.ID, Name: row.Hostname}
	err = r.workspace(machine).Atomically(ctx, func(w *store.Workspace) error {
		if err := w.DeleteInstance(ctx, req.AgentID, req.InstanceID); err != nil {
			return err
		}
		return r.auditMachine(ctx, w, machine, "instance.leave", req.AgentID, row.ID, row.Hostname)
	})
	if err != nil {
		return fault(err, "machine")
	}
	if r.Disconnect != nil {
		r.Disconnect(req.AgentID, req.InstanceID, "it was uninstalled")
	}
	r.publish(row.WorkspaceID, event.AgentChanged, req.AgentID)
	return nil
}

func triedTooOften(wait time.Duration, detail string) error {
	seconds := int(wait/time.Second) + 1
	return &proto.Error{Code: proto.CodeTooManyRequests, Detail: detail,
		Hint:  fmt.Sprintf("Try again in %d seconds.", seconds),
		Facts: map[string]string{"retryAfter": fmt.Sprint(seconds)}}
}
