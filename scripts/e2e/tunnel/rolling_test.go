package tunnel

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"sallyport/agent/link"
)

// TestNothingIsDroppedOrDoubledWhileMachinesComeAndGo: two machines of one
// agent are restarted in turn under a load of POSTs. Each must be answered, and
// each must have reached the application exactly once.
func TestNothingIsDroppedOrDoubledWhileMachinesComeAndGo(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		id, _ := io.ReadAll(r.Body)
		mu.Lock()
		seen[string(id)]++
		mu.Unlock()
		_, _ = w.Write(id)
	})
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

	stop := make(chan struct{})
	var posting sync.WaitGroup
	sent := make([]int, 4)
	for worker := range sent {
		posting.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("%d-%d", worker, sent[worker])
				sent[worker]++
				resp, err := r.send(t.Context(), "POST", app.URL, strings.NewReader(id))
				if err != nil {
					t.Errorf("%s: %v", id, err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || string(got) != id {
					t.Errorf("%s: %q, %v", id, got, err)
					return
				}
			}
		})
	}
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
	close(stop)
	posting.Wait()
	mu.Lock()
	defer mu.Unlock()
	total := 0
	for _, n := range sent {
		total += n
	}
	if len(seen) != total {
		t.Errorf("%d were sent, %d arrived", total, len(seen))
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s arrived %d times", id, n)
		}
	}
}
