package tunnel

import (
	"io"
	"strings"
	"testing"

	"sallyport/agent/link"
)

// TestNothingIsDroppedOrDoubledWhileMachinesComeAndGo: two machines of one
// agent are restarted in turn under a load of POSTs. Each must be answered, and
// each must have reached the application exactly once.
func TestNothingIsDroppedOrDoubledWhileMachinesComeAndGo(t *testing.T) {
	load := newPosts(t)
	r := newRelay(t, false)
	keys := map[string]func() *site{}
	for _, instance := range []string{"ins_1", "ins_2"} {
		key := r.dir.enrol("agt_1", instance)
		keys[instance] = func() *site {
			return r.agent(key, forwarding(t), func(o *link.Options) { o.Identity.InstanceID = instance })
		}
	}
	first, second := keys["ins_1"](), keys["ins_2"]()
	r.awaitTunnels(4)

	load.begin(r, func(text string) io.Reader { return strings.NewReader(text) })
	for range 5 {
		first.stop()
		r.awaitTunnels(2) // the old ones are gone from the relay, too
		first = keys["ins_1"]()
		r.awaitTunnels(4)
		second.stop()
		r.awaitTunnels(2)
		second = keys["ins_2"]()
		r.awaitTunnels(4)
	}
	load.end()
}
