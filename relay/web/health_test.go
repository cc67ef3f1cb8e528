package web_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/relay/connection"
	"sallyport/relay/health"
	"sallyport/relay/registry"
	"sallyport/relay/store"
)

// pinged writes down a day of pings of a connection: it was failing for a while,
// and, if still, is so yet.
func (r *rig) pinged(c registry.Connection, still bool) {
	r.t.Helper()
	ctx := r.t.Context()
	w := r.store.Workspace(r.admin.WorkspaceID)
	asJSON := func(v any) []byte {
		text, err := json.Marshal(v)
		must(r.t, err)
		return text
	}
	now := time.Now()
	for i := range 60 {
		at := now.Add(time.Duration(i-60) * 5 * time.Minute)
		must(r.t, w.ScheduleHealth(ctx, c.ID, at.Add(-1000*time.Hour)))
		claimed, err := r.store.ClaimHealth(ctx, store.Claim{Lease: store.NewID("lea"), Now: at, Until: at, Limit: 1})
		must(r.t, err)
		h := store.Health{ConnectionID: c.ID, NextAt: at.Add(5 * time.Minute), State: "online", Since: at, CheckedAt: at, Message: "The ping was answered 200 OK, and data.ok is “true”."}
		s := store.Settled{Lease: claimed[0].Lease, Was: claimed[0].NextAt, Health: h,
			Result: &store.HealthResult{ConnectionID: c.ID, At: at, Result: "online", LatencyMs: 30 + float64((i*37)%23)}}
		bad := i == 40 || i == 41 || still && i > 57
		if bad {
			s.Result.Result, s.Result.Message = "failing", "The ping was answered 500 Internal Server Error."
		}
		if still && i > 57 {
			s.Health.State, s.Health.Message = "failing", s.Result.Message
		}
		change := store.HealthChange{ID: store.NewID("chg"), ConnectionID: c.ID, At: at, Differences: []byte("[]")}
		switch {
		case i == 0:
			change.Was, change.State = "unknown", "online"
			s.Change = &change
		case i == 42:
			change.Was, change.State = "failing", "online"
			s.Change = &change
		case i == 41 || still && i == 59:
			change.Was, change.State, change.Message = "online", "failing", s.Result.Message
			change.Differences = asJSON([]health.Difference{
				{Kind: health.Configuration, Text: "Ada Lovelace saved the connection on 1 March 2026 at 09:05 UTC and changed headers, secret password."},
				{Kind: health.Response, Text: "The ping is answered 500, where it was 200."}})
			s.Change = &change
			for kind, recipient := range map[string]string{"webhook": "hooks.example.com", "email": "ops@example.com"} {
				s.Notices = append(s.Notices, store.Notice{ID: store.NewID("ntc"), ConnectionID: c.ID, At: at, Kind: kind, Recipient: recipient, Body: []byte(`{"type":"connection.failing"}`), NextAt: at})
			}
		}
		settled, err := w.SettleHealth(ctx, s)
		if err != nil || !settled {
			r.t.Fatalf("%v, %v", settled, err)
		}
	}
}

func TestHealthIsShownAndToldOnceForATest(t *testing.T) {
	r := newRig(t)
	posted := make(chan string, 1)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		posted <- req.Header.Get("webhook-id")
	}))
	defer hook.Close()
	s := spec("https://erp.example.com")
	s.Health = &connection.Health{Webhook: hook.URL, Emails: []string{"ops@example.com"}}
	conn := r.connection(s)
	c := r.client()
	c.get("/connections").contains(t, "Not tested")
	c.get("/connections/"+conn.ID).contains(t, "Not known yet", "Send a test notice")
	r.pinged(conn, true)
	c.get("/connections").contains(t, "Failing since")
	c.get("/connections/"+conn.ID).contains(t, "Failing since", "The ping was answered 500", "in 24 hours", "93.33", "2 things had changed", "Ada Lovelace saved", "hooks.example.com", "On its way", "is failing, ")

	a := c.post("/connections/"+conn.ID+"/test-notice", url.Values{})
	a.contains(t, "ops@example.com", "the relay has no mail server")
	select {
	case id := <-posted:
		if !strings.HasPrefix(id, "ntc_") {
			t.Errorf("id %q", id)
		}
	default:
		t.Errorf("nothing was posted: %d", a.status)
	}
}

func TestTheFormKeepsHowAConnectionIsWatched(t *testing.T) {
	r := newRig(t)
	c := r.client()
	s := spec("https://erp.example.com")
	s.Health = &connection.Health{EveryMinutes: 15, Webhook: "https://hooks.example.com/a", WebhookSecret: "password", Emails: []string{"a@example.com", "b@example.com"}}
	conn := r.connection(s)
	edit := "/connections/" + conn.ID + "/edit"
	c.get(edit).contains(t, `name="health.everyMinutes"`, `value="15"`, `value="https://hooks.example.com/a"`, "a@example.com\nb@example.com", `<details class="more advanced" id="requests" open>`)
	form := url.Values{"do": {"save"}, "name": {"Warehouse"}, "mode": {"cloud"}, "baseUri": {"https://erp.example.com"}, "mediaType": {"json"}, "auth.type": {"none"}, "ping.method": {"GET"},
		"secrets.name": {"password"}, "secrets.value": {""}, "secrets.set": {"1"},
		"health.off": {"off"}, "health.everyMinutes": {"ten"}, "health.webhook": {"hooks"}, "health.webhookSecret": {"none"}, "health.emails": {"a@example.com\r\nnobody"}}
	a := c.post(edit, form)
	a.contains(t, "Enter a number of minutes", "The webhook is a whole URI", "The secret none is not set", "“nobody” is not an e-mail address", "a@example.com\nnobody")
	if a.status != http.StatusUnprocessableEntity {
		t.Errorf("status %d", a.status)
	}
	form.Set("health.everyMinutes", "")
	form.Set("health.webhook", " https://hooks.example.com/b ")
	form.Set("health.webhookSecret", "password")
	form.Set("health.emails", "a@example.com\r\n\r\n")
	if a := c.post(edit, form); a.status != http.StatusSeeOther {
		t.Fatalf("status %d", a.status)
	}
	saved := r.saved()[0].Health
	if saved == nil || !saved.Off || saved.EveryMinutes != 5 || saved.Webhook != "https://hooks.example.com/b" || saved.WebhookSecret != "password" || len(saved.Emails) != 1 {
		t.Errorf("saved %+v", saved)
	}
}
