package tunnel

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/agent/breadcrumb"
	"sallyport/agent/link"
	"sallyport/internal/testkit"
	"sallyport/proto"
)

// TestCopiedIdentityIsNamed: two machines that have one identity push each other
// off, and who is pushed off says so, and where the other one runs.
func TestCopiedIdentityIsNamed(t *testing.T) {
	t.Parallel()
	r := newRelay(t, false)
	key := r.dir.enrol("agt_1", "ins_1")
	var told atomic.Value
	first := r.agent(key, forwarding(t), func(o *link.Options) {
		o.RetryFirst, o.RetryLimit = time.Hour, time.Hour // so that it does not push back
		o.Changed = func(err error) {
			if err != nil {
				told.Store(err)
			}
		}
	})
	r.awaitTunnels(2)
	r.agent(key, forwarding(t), func(o *link.Options) { o.Machine.Hostname = "erp-02" })
	testkit.Eventually(t, patience, "the first one knows", func() error {
		st := first.link.Status()
		if st.State != link.StateOffline || !strings.Contains(st.LastError, "another agent that has the identity of this one (on erp-02 at 127.0.0.1:") {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
	r.awaitTunnels(2)
	err, _ := told.Load().(error)
	var superseded *link.SupersededError
	if !errors.As(err, &superseded) {
		t.Errorf("it is told %v", err)
	}
	if cause, _ := breadcrumb.CauseOf(err); cause != proto.CauseSuperseded {
		t.Errorf("its trail says %s", cause)
	}
}

// TestAgentHearsWhyItsTunnelsAreClosed by the relay.
func TestAgentHearsWhyItsTunnelsAreClosed(t *testing.T) {
	t.Parallel()
	r := newRelay(t, false)
	s := r.agent(r.dir.enrol("agt_1", "ins_1"), forwarding(t), func(o *link.Options) { o.RetryFirst, o.RetryLimit = time.Hour, time.Hour })
	r.awaitTunnels(2)
	r.hub.Disconnect("agt_1", "ins_1", "its enrolment was removed")
	testkit.Eventually(t, patience, "the agent says why", func() error {
		if st := s.link.Status(); !strings.Contains(st.LastError, "the relay closed the tunnel: its enrolment was removed") {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
}
