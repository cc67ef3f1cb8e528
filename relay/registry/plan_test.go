package registry

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/proto"
	"sallyport/relay/connection"
)

func TestAPlanTellsWhatASaveWouldDoAndSavesNothing(t *testing.T) {
	s := newSite(t)
	c := s.create(t, cloudSpec("ERP"), values("password", "one", "company", "ACME"))
	for _, step := range []struct {
		name    string
		secrets map[string]*string
		want    []string
	}{
		{"nothing given", nil, nil},
		{"the same values", values("password", "one", "company", "ACME"), nil},
		{"one differs, one is new", values("password", "two", "company", "ACME", "pin", "1"), []string{"password", "pin"}},
		{"one removed", map[string]*string{"company": nil, "unknown": nil}, []string{"company"}},
	} {
		plan, err := s.PlanConnection(t.Context(), s.ada, c.ID, c.Version, cloudSpec("Warehouse"), step.secrets)
		must(t, err)
		if diff := cmp.Diff(step.want, plan.ChangedSecrets); diff != "" {
			t.Errorf("%s: %s", step.name, diff)
		}
		if plan.Name != "Warehouse" || plan.ID != c.ID || plan.Version != c.Version || plan.MediaType != connection.JSON {
			t.Errorf("%s: %+v", step.name, plan)
		}
	}
	fresh, err := s.PlanConnection(t.Context(), s.ada, "", 0, cloudSpec("ERP"), values("password", "one"))
	must(t, err)
	if diff := cmp.Diff([]string{"password"}, fresh.ChangedSecrets); diff != "" || fresh.ID != "" || len(fresh.Warnings) == 0 {
		t.Errorf("%+v %s", fresh, diff)
	}
	_, err = s.PlanConnection(t.Context(), s.ada, c.ID, c.Version+1, cloudSpec("ERP"), nil)
	wantCode(t, err, proto.CodeConflict, "meanwhile")
	_, err = s.PlanConnection(t.Context(), s.ada, c.ID, 0, cloudSpec("ERP"), map[string]*string{"password": nil})
	wantFaults(t, err, "auth.cookie.body")

	now, err := s.Connection(t.Context(), s.ada, c.ID)
	must(t, err)
	if diff := cmp.Diff(c, now); diff != "" {
		t.Errorf("something was saved: %s", diff)
	}
}

func TestAKeyIsOfOneConnection(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		keyed := func(name, key string) connection.Spec {
			spec := cloudSpec(name)
			spec.Key = key
			return spec
		}
		secrets := values("password", "one")
		first := s.create(t, keyed("ERP", "erp"), secrets)
		other := s.create(t, keyed("Other", ""), secrets)
		s.create(t, keyed("A third", ""), secrets) // any number have none
		_, _, err := s.CreateConnection(t.Context(), s.ada, keyed("New", "erp"), secrets)
		wantFaults(t, err, "key")
		_, _, err = s.UpdateConnection(t.Context(), s.ada, other.ID, 0, keyed("Other", "erp"), nil)
		wantFaults(t, err, "key")
		_, err = s.PlanConnection(t.Context(), s.ada, other.ID, 0, keyed("Other", "erp"), nil)
		wantFaults(t, err, "key")
		_, _, err = s.UpdateConnection(t.Context(), s.ada, first.ID, 0, keyed("Renamed", "erp"), nil)
		must(t, err)
		// Two at once: the store has the last word.
		row, err := s.workspace(s.ada).Connection(t.Context(), other.ID)
		must(t, err)
		row.Key = "erp"
		row.Version++
		wantFaults(t, saveFault(s.workspace(s.ada).UpdateConnection(t.Context(), row, row.Version-1)), "key")
		must(t, s.DeleteConnection(t.Context(), s.ada, first.ID, 0))
		_, _, err = s.UpdateConnection(t.Context(), s.ada, other.ID, 0, keyed("Other", "erp"), nil)
		must(t, err)
	})
}

func TestKeyAndMarkLeaveTheSessionAlone(t *testing.T) {
	a, b := cloudSpec("ERP"), cloudSpec("ERP")
	b.Key, b.ManagedBy = "erp", "acme/relay"
	if signInDiffers(a, b) {
		t.Error("they count as what the sign-in depends on")
	}
	if got := changedFields(a, b, nil); got != "key, managed by" {
		t.Errorf("the audit trail says %q", got)
	}
}
