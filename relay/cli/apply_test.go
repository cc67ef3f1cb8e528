package cli

import (
	"strings"
	"testing"

	"sallyport/relay/client"
	"sallyport/relay/manifest"
)

// TestApplyOverwritesNothingThatWasSavedMeanwhile saves one of two connections, and
// deletes another, after the changes were shown and before they are done.
func TestApplyOverwritesNothingThatWasSavedMeanwhile(t *testing.T) {
	relay := startRelay(t, "")
	c := &client.Client{Base: relay.url, Token: bootstrapToken, HTTP: relay.client}
	schema, err := manifest.FetchSchema(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	plan := func(documents string, o manifest.Options) *manifest.Plan {
		t.Helper()
		docs, err := schema.ReadFiles([]string{"-"}, strings.NewReader(documents))
		if err != nil {
			t.Fatal(err)
		}
		o.Owner = "acme"
		p, err := schema.NewPlan(t.Context(), c, docs, o)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	document := func(name, base string) string {
		return "---\n{key: " + name + ", name: " + name + ", mode: cloud, baseUri: " + base + ", auth: {type: none}, ping: {}}\n"
	}
	plan(document("one", "http://a.example")+document("two", "http://a.example")+document("three", "http://a.example"), manifest.Options{}).
		Apply(t.Context(), func(_ manifest.Change, err error) {
			if err != nil {
				t.Fatal(err)
			}
		})
	late := plan(document("one", "http://b.example")+document("two", "http://b.example"), manifest.Options{Prune: true})

	one, err := connectionOf(t.Context(), c, "one")
	if err != nil {
		t.Fatal(err)
	}
	one.Name = "of somebody else"
	if _, err := c.UpdateConnection(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	three, err := connectionOf(t.Context(), c, "three")
	if err != nil {
		t.Fatal(err)
	}
	three.BaseURI = "http://c.example"
	if _, err := c.UpdateConnection(t.Context(), three); err != nil {
		t.Fatal(err)
	}

	said := map[string]string{}
	failed := late.Apply(t.Context(), func(change manifest.Change, err error) {
		name, _, _ := strings.Cut(change.Title, " ")
		if said[name] = "done"; err != nil {
			said[name] = err.Error()
		}
	})
	if failed != 2 || said["two"] != "done" || !strings.Contains(said["one"], "has saved this connection meanwhile") || !strings.Contains(said["three"], "Nothing of it was overwritten") {
		t.Errorf("%d failed: %v", failed, said)
	}
	if one, err = connectionOf(t.Context(), c, "one"); err != nil || one.Name != "of somebody else" || one.BaseURI != "http://a.example" {
		t.Errorf("%v %+v", err, one)
	}
	if _, err = connectionOf(t.Context(), c, "three"); err != nil {
		t.Error(err)
	}
}
