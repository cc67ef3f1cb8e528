package cli

import (
	"encoding/json"
	"strings"
	"testing"
)

// What a browser copied becomes a draft, which is tested and saved as it is.
func TestARecordedLoginBecomesAConnectionThatWorks(t *testing.T) {
	relay, app := startRelay(t, ""), startApplication(t)
	var spec struct {
		BaseURI string `json:"baseUri"`
		Auth    struct {
			Cookie struct{ URI, Body string }
		}
		Secrets map[string]string
	}
	if err := json.Unmarshal([]byte(app.connection(nil)), &spec); err != nil {
		t.Fatal(err)
	}
	body := spec.Auth.Cookie.Body
	for name, value := range spec.Secrets {
		inside, _ := json.Marshal(value)
		body = strings.ReplaceAll(body, "{{secret."+name+"}}", string(inside[1:len(inside)-1]))
	}
	command := "curl '" + spec.BaseURI + spec.Auth.Cookie.URI + "' -H 'content-type: application/json' -H 'user-agent: Mozilla/5.0' --data-raw '" + body + "'"
	text, _ := json.Marshal(map[string]string{"curl": command})
	var got struct {
		Connection map[string]any
		Missing    []string
		Notes      []struct{ Kind, Text string }
	}
	read(t, relay.expect(200, "POST", "/api/v1/connections/import", string(text)), &got)
	if len(got.Notes) == 0 || len(got.Missing) != 0 {
		t.Errorf("%+v", got)
	}
	// The application of the tests is on loopback, which looks like a site of its own.
	got.Connection["mode"] = "cloud"
	draft, _ := json.Marshal(got.Connection)
	var result struct{ OK bool }
	read(t, relay.expect(200, "POST", "/api/v1/connections/test", string(draft)), &result)
	if !result.OK {
		t.Errorf("the draft does not work: %s", draft)
	}
	relay.expect(201, "POST", "/api/v1/connections", string(draft))

	for _, test := range []struct{ body, path, says string }{
		{`{"curl":"hello"}`, "curl", "no curl command"},
		{`{"har":{"log":{"entries":[]}}}`, "har", "no requests"},
		{`{"har":"{\"log\":{\"entries\":[]}}"}`, "har", "no requests"},
		{`{"curl":"curl http://x","har":{}}`, "har", "not both"},
		{`{}`, "curl", "Paste"},
		{`{"curle":"x"}`, "curle", "no such field"},
	} {
		a := relay.expect(422, "POST", "/api/v1/connections/import", test.body)
		if says := faults(t, a)[test.path]; !strings.Contains(says, test.says) {
			t.Errorf("%s: %s", test.body, a.body)
		}
	}
	long, _ := json.Marshal(map[string]string{"har": "{" + strings.Repeat(" ", 2<<20)})
	if a := relay.expect(422, "POST", "/api/v1/connections/import", string(long)); !strings.Contains(a.body, "HAR") {
		t.Errorf("2 MiB: %s", a.body)
	}
	long, _ = json.Marshal(map[string]string{"har": strings.Repeat("{", 10<<20)})
	relay.expect(413, "POST", "/api/v1/connections/import", string(long))
}

func read(t *testing.T, a answer, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
}
