package web_test

import (
	"strings"
	"testing"
	"time"

	"sallyport/proto"
	"sallyport/relay/hub"
)

func TestThePolicyOfTheSiteIsShownInShort(t *testing.T) {
	r := newRig(t)
	c := r.client()
	agent, enrolled := r.agent("Plant 2", "erp-gw-01", "erp-gw-02", "erp-gw-03")
	at := "/agents/" + agent.ID
	c.get(at).contains(t, "Policy of the site", "Known while one of its machines is connected.")

	strict := proto.PolicySummary{Version: "0a1b2c3d", Rules: 4, Default: proto.PolicyDeny}
	for i, policy := range []*proto.PolicySummary{&strict, {Version: "ffee0011", Default: proto.PolicyAllow, Open: true}, nil} {
		r.connect(agent.ID, hub.Instance{ID: enrolled[i].InstanceID, Hostname: []string{"erp-gw-01", "erp-gw-02", "erp-gw-03"}[i],
			ConnectedAt: time.Now(), LastSeenAt: time.Now(), Policy: policy})
		a := c.get(at)
		if i == 0 {
			a.contains(t, "erp-gw-01", "4 rules", "is denied", "0a1b2c3d")
			if strings.Contains(a.body, "note warn") || strings.Contains(a.body, "They differ") {
				t.Error("it warns of a policy that is not open")
			}
		}
	}
	c.get(at).contains(t, "erp-gw-02", "0 rules", "is allowed", "everything that this machine can reach, but for link-local and cloud metadata addresses",
		"They differ", "Not known here of erp-gw-03:")

	alike, machines := r.agent("Plant 3", "erp-gw-11", "erp-gw-12")
	for i, name := range []string{"erp-gw-11", "erp-gw-12"} {
		policy := strict
		r.connect(alike.ID, hub.Instance{ID: machines[i].InstanceID, Hostname: name, ConnectedAt: time.Now(), LastSeenAt: time.Now(), Policy: &policy})
	}
	c.get("/agents/"+alike.ID).contains(t, "erp-gw-11, erp-gw-12")
}
