package web_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"sallyport/internal/testkit"
	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/hub"
	"sallyport/relay/probe"
	"sallyport/relay/registry"
)

// tab is a page of the rig's in a real browser.
type tab struct{ *testkit.Tab }

func (r *rig) tab() *tab {
	r.t.Helper()
	return &tab{testkit.NewTab(r.t, r.url, 4*time.Minute)}
}

func (tb *tab) signIn(r *rig) {
	r.t.Helper()
	path, err := r.accounts.NewSignInLink(context.Background(), time.Hour)
	must(r.t, err)
	tb.Open(path)
	tb.Do(chromedp.Click(chromedp.CSS("main button")))
	tb.WaitFor(`location.pathname === "/connections"`)
}

// furnish gives the relay enough to show on every page: a connection, an agent that
// is there, and one that is away.
func furnish(r *rig) (conn registry.Connection, agentID, awayID string) {
	ctx := context.Background()
	app := warehouse(r.t)
	plant, machines := r.agent("Plant 2", "erp-gw-01", "erp-gw-02")
	for i, m := range machines {
		in := hub.Instance{ID: m.InstanceID, Hostname: []string{"erp-gw-01", "erp-gw-02"}[i], OS: "linux", Arch: "amd64", Version: "0.1.0",
			ConnectedAt: time.Now().Add(-3 * time.Hour), LastSeenAt: time.Now(), Latency: time.Duration(34+i*5) * time.Millisecond, InFlight: i * 3, Tunnels: 2,
			Policy: &proto.PolicySummary{Version: "a127e630", Rules: i * 4, Default: []string{proto.PolicyAllow, proto.PolicyDeny}[i], Open: i == 0}}
		if i == 1 {
			in.Config = &proto.ConfigState{Version: "0a1b2c3d", LoadedAt: time.Now(), Since: time.Now(), NeedsRestart: []string{"statusListen"}, Error: "agent.yaml:12: unknown key \"prxoy\"; did you mean \"proxy\"?\nagent.yaml:31: policy: this rule can't be read"}
		}
		must(r.t, r.registry.Connected(ctx, plant.ID, in))
		r.connect(plant.ID, in)
	}
	vienna, away := r.agent("Office Vienna", "WIN-7Q2")
	in := hub.Instance{ID: away[0].InstanceID, Hostname: "WIN-7Q2", OS: "windows", Arch: "amd64", Version: "0.1.0", ConnectedAt: time.Now().Add(-26 * time.Hour), LastSeenAt: time.Now().Add(-2 * time.Hour)}
	must(r.t, r.registry.Connected(ctx, vienna.ID, in))
	must(r.t, r.registry.Disconnected(ctx, vienna.ID, in.ID, time.Now().Add(-2*time.Hour), "the connection broke without a goodbye"))
	r.agent("Warehouse Graz")

	watched := spec(app.URL)
	watched.Health = &connection.Health{Webhook: "https://hooks.example.com/sallyport", Emails: []string{"ops@example.com"}}
	conn = r.connection(watched)
	r.pinged(conn, false)
	for i := range 14 {
		must(r.t, r.registry.RecordTest(ctx, r.admin, conn.ID, probe.Result{OK: true, DurationMs: 40, Steps: []probe.Step{{Name: probe.StepPing, Status: probe.OK, DurationMs: 30 + float64((i*37)%23)}}}))
	}
	erp := spec("https://erp.plant2.internal")
	erp.Name, erp.Mode, erp.AgentID = "Plant 2 ERP", "on-premise", plant.ID
	onPremise := r.connection(erp)
	must(r.t, r.registry.RecordTest(ctx, r.admin, onPremise.ID, probe.Result{Steps: []probe.Step{{Name: probe.StepSignIn, Status: probe.Failed, Message: "The sign-in was answered with 200, but no cookie was set."}}}))
	shop := spec("https://shop.example.com")
	shop.Name = "Web shop"
	r.pinged(r.connection(shop), true)
	crm := spec("https://crm.example.com")
	crm.Name = "Customer relations, the new one for all of Europe, Middle East and Africa"
	once := r.connection(crm) // tested once: a latency that makes no line yet
	must(r.t, r.registry.RecordTest(ctx, r.admin, once.ID, probe.Result{OK: true, DurationMs: 40, Steps: []probe.Step{{Name: probe.StepPing, Status: probe.OK, DurationMs: 31}}}))
	return conn, plant.ID, vienna.ID
}

func TestPagesLookRightInBothThemesAndWidths(t *testing.T) {
	r := newRig(t)
	tb := r.tab()
	type view struct {
		name, path string
		prepare    func()
	}
	show := func(views ...view) {
		t.Helper()
		for _, v := range views {
			for _, width := range []int64{1280, 390, 360} {
				tb.Look(width, "light")
				tb.Open(v.path)
				if v.prepare != nil {
					v.prepare()
				}
				if wide := tb.Wider(); wide != "" {
					t.Errorf("%s at %d px is wider than the window: %s", v.name, width, wide)
				}
				if width == 360 {
					continue
				}
				tb.Keep(fmt.Sprintf("%s-%d-light", v.name, width))
				tb.Look(width, "dark")
				tb.Keep(fmt.Sprintf("%s-%d-dark", v.name, width))
			}
		}
	}
	show(view{"sign-in", "/sign-in", nil}, view{"sign-in-link", r.signIn, nil})
	tb.signIn(r)
	show(view{"connections-empty", "/connections?notice=set-password", nil}, view{"agents-empty", "/agents", nil})
	conn, agentID, awayID := furnish(r)
	submit := func(selector, wait string) func() {
		return func() {
			tb.Do(chromedp.Click(chromedp.CSS(selector)))
			tb.WaitFor(wait)
		}
	}
	show(
		view{"connections", "/connections", nil},
		view{"connections-none-found", "/connections?q=zzz", nil},
		view{"connection", "/connections/" + conn.ID, nil},
		view{"connection-tested", "/connections/" + conn.ID, submit("#test-saved button", `document.querySelector("#test-result .result-head") !== null`)},
		view{"connection-sent", "/connections/" + conn.ID, func() {
			tb.Do(chromedp.SetValue(chromedp.CSS("#send-path"), "/me"))
			submit("#send-form .button.primary", `document.querySelector("#answer .http") !== null`)()
		}},
		view{"connection-delete", "/connections/" + conn.ID + "/delete", nil},
		view{"form-new", "/connections/new", nil},
		view{"form-on-premise", "/connections/new?agent=" + agentID, nil},
		view{"form-auth-custom", r.editOf("custom"), nil},
		view{"form-auth-oauth2", r.editOf("oauth2"), nil},
		view{"form-requests", "/connections/new", submit("#requests > summary", `document.querySelector("#requests").open`)},
		view{"form-mistakes", "/connections/new", submit(".bar .primary", `document.querySelector("#form-errors .note") !== null`)},
		view{"form-tested", "/connections/" + conn.ID + "/edit", submit(".bar button[value=test]", `document.querySelector("#test-result .result-head") !== null`)},
		view{"agents", "/agents", nil},
		view{"agent", "/agents/" + agentID, nil},
		view{"agent-away", "/agents/" + awayID, nil},
		view{"agent-new", "/agents/new", nil},
		view{"agent-install", "/agents/" + agentID + "/install", submit("main .card button", `document.querySelector(".systems") !== null`)},
		view{"agent-remove", "/agents/" + agentID + "/remove", nil},
		view{"settings", "/settings", nil},
		view{"people", "/settings/people", nil},
		view{"activity", "/activity", nil},
		view{"activity-requests", "/activity/requests", nil},
		view{"not-found", "/nowhere", nil},
	)
}

// editOf is the form of a connection of another authentication type.
func (r *rig) editOf(kind connection.AuthType) string {
	s := spec("https://erp.example.com")
	s.Name, s.Auth = "By "+string(kind), map[connection.AuthType]connection.Auth{
		connection.AuthCustom: {Custom: &connection.CustomAuth{Headers: []connection.Header{{Name: "X-Api-Key", Value: "{{secret.password}}"}}, Body: []connection.Pair{{Name: "tenant", Value: "7"}}}},
		connection.AuthOAuth2: {OAuth2: &connection.OAuth2Auth{Grant: connection.AuthorizationCode, AuthorizationURI: "https://login.example.com/authorize", TokenURI: "https://login.example.com/oauth/token",
			ClientID: "sallyport", ClientSecret: "{{secret.password}}", Scopes: []string{"orders.read", "offline_access"}}},
	}[kind]
	s.Auth.Type = kind
	return "/connections/" + r.connection(s).ID + "/edit"
}
