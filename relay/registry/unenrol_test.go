package registry

import (
	"crypto/ed25519"
	"testing"

	"sallyport/proto"
)

func TestAMachineEndsItsOwnEnrolment(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		a := s.agent(t, "Plant 2")
		code, err := s.CreateEnrolment(ctx, s.ada, a.ID)
		must(t, err)
		public, key, err := ed25519.GenerateKey(nil)
		must(t, err)
		req := request(code.Code, "plc7")
		req.PublicKey = public
		e, err := s.Enrol(ctx, req)
		must(t, err)
		other := s.enrol(t, a.ID, "plc8")
		ask := UnenrolRequest{AgentID: a.ID, InstanceID: e.InstanceID, Address: "192.0.2.7:4711",
			Signature: proto.SignLeave(key, e.RelayID, a.ID, e.InstanceID)}

		// Not that of another machine, not by another's signature.
		theirs := ask
		theirs.InstanceID = other.InstanceID
		wantCode(t, s.Unenrol(ctx, theirs), proto.CodeUnauthorized, "signature")
		unsigned := ask
		unsigned.Signature = ""
		wantCode(t, s.Unenrol(ctx, unsigned), proto.CodeUnauthorized, "signature")

		must(t, s.Unenrol(ctx, ask))
		got, err := s.Agent(ctx, s.ada, a.ID)
		must(t, err)
		if len(got.Instances) != 1 || got.Instances[0].ID != other.InstanceID {
			t.Errorf("left: %+v", got.Instances)
		}
		if want := a.ID + "/" + e.InstanceID; len(s.disconnected) != 1 || s.disconnected[0] != want {
			t.Errorf("tunnels closed of %v, want %s", s.disconnected, want)
		}
		entries, _, err := s.Audit(ctx, s.ada, AuditFilter{}, Page{Limit: 1})
		must(t, err)
		if len(entries) != 1 || entries[0].Action != "instance.leave" || entries[0].ObjectID != e.InstanceID {
			t.Errorf("audit: %+v", entries)
		}
		wantCode(t, s.Unenrol(ctx, ask), proto.CodeNotFound, "not enrolled here")
		for range 20 {
			_ = s.Unenrol(ctx, unsigned)
		}
		wantCode(t, s.Unenrol(ctx, unsigned), proto.CodeTooManyRequests, "Try again in")
	})
}
