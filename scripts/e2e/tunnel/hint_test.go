package tunnel

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/probe"
)

// What a site's real policy forbids is told with the line that would allow it, at
// the place where it has to stand.
func TestTheHintOfAPolicyNamesTheLineToAdd(t *testing.T) {
	app := target(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"ok":true}`) })
	for name, test := range map[string]struct {
		rules []string
		uri   string
		code  proto.Code
		id    string
		want  []string
	}{
		"no rule":         {[]string{"allow GET " + app.URL + "/other"}, "/api/me", proto.CodePolicyDenied, "policy", []string{"adds this line", "allow GET " + app.URL + "/api/me"}},
		"a rule forbids":  {[]string{"deny GET " + app.URL + "/api/**", "allow GET *://*/**"}, "/api/me", proto.CodePolicyDenied, "policy", []string{"above the rule that forbids it (deny GET " + app.URL + "/api/**)", "allow GET " + app.URL + "/api/me"}},
		"rate of a rule":  {[]string{"allow GET " + app.URL + "/api/me rate=1/h"}, "/api/me", proto.CodeTooManyRequests, "policy-rate", []string{"rate=", "Test again in"}},
		"a rule is right": {[]string{"allow GET " + app.URL + "/api/me"}, "/api/me", "", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRelay(t, false)
			r.ruled(test.rules...)
			c := &connection.Connection{ID: "con_1", WorkspaceID: "wsp_1", Spec: connection.Defaults(connection.Spec{
				Name: "ERP", Mode: connection.OnPremise, AgentID: "agt_1", BaseURI: app.URL, Auth: connection.Auth{Type: connection.AuthNone},
				Ping: connection.Ping{URI: test.uri, SuccessPath: "ok"},
			})}
			ping, _ := r.doors(c)
			if test.id == "policy-rate" {
				ping()
			}
			step := ping().Steps[2]
			if step.Code != string(test.code) || step.HintID != test.id || (test.id == "") != (step.Status == probe.OK) {
				t.Fatalf("%+v", step)
			}
			for _, want := range test.want {
				if !strings.Contains(step.Hint, want) {
					t.Errorf("%q, want %q in it", step.Hint, want)
				}
			}
		})
	}
}
