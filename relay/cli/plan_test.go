package cli

import (
	"strings"
	"testing"
)

func TestDryRunTellsWhatWouldChangeAndSavesNothing(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)
	d := relay.described()
	fresh := relay.expect(200, "POST", "/api/v1/connections?dryRun=true", app.connection(nil))
	if fresh.json(t, "id") != nil || fresh.json(t, "createdAt") != nil || fresh.text(t, "changedSecrets.0") != "password" || fresh.text(t, "ping.method") != "GET" {
		t.Errorf("%s", fresh.body)
	}
	for _, name := range []string{"ETag", "Location"} {
		if fresh.header.Get(name) != "" {
			t.Errorf("%s: %q", name, fresh.header.Get(name))
		}
	}
	if list := relay.expect(200, "GET", "/api/v1/connections", ""); list.body != `{"items":[]}`+"\n" {
		t.Errorf("saved: %s", list.body)
	}
	path := "/api/v1/connections/" + relay.expect(201, "POST", "/api/v1/connections", app.connection(nil)).text(t, "id")
	same := relay.expect(200, "PUT", path+"?dryRun=true", app.connection(nil), `If-Match: "1"`)
	if same.json(t, "changedSecrets") != nil || same.header.Get("ETag") != `"1"` {
		t.Errorf("%v %s", same.header, same.body)
	}
	other := relay.expect(200, "PUT", path+"?dryRun=true", app.connection(map[string]any{"name": "Other", "secrets": map[string]any{"password": "x"}}))
	if other.text(t, "changedSecrets.0") != "password" || other.text(t, "name") != "Other" || strings.Contains(other.body, `"x"`) {
		t.Errorf("%s", other.body)
	}
	relay.expect(412, "PUT", path+"?dryRun=true", app.connection(nil), `If-Match: "7"`)
	if faulty := relay.expect(422, "PUT", path+"?dryRun=true", app.connection(map[string]any{"modee": 1, "name": ""})); faults(t, faulty)["name"] == "" || faults(t, faulty)["modee"] == "" {
		t.Errorf("%s", faulty.body)
	}
	if read := relay.expect(200, "GET", path, ""); read.header.Get("ETag") != `"1"` || read.text(t, "name") != "Plant 2 ERP" {
		t.Errorf("%s", read.body)
	}
	for _, status := range []string{"200", "201"} {
		if d.at("paths", "/api/v1/connections", "post", "responses", status, "content", "application/json", "schema") == nil {
			t.Errorf("the document does not tell of %s", status)
		}
	}
}
