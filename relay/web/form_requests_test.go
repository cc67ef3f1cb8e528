package web_test

import (
	"net/http"
	"strings"
	"testing"

	"sallyport/relay/connection"
)

func TestWhatOnlySomeConnectionsNeedIsSavedAndShownAgain(t *testing.T) {
	r := newRig(t)
	c := r.client()
	form := filled("https://erp.example.com")
	for path, value := range map[string]string{
		"timeouts.connectMs": "5000", "timeouts.totalMs": " 60000 ", "retry.attempts": "3", "limits.concurrent": "4", "limits.perSecond": "0.5",
	} {
		form.Set("requests."+path, value)
	}
	if a := c.post("/connections/new", form); a.status != http.StatusSeeOther {
		t.Fatalf("%d: %s", a.status, between(a.body, `<div id="form-errors">`, "</div></div>"))
	}
	saved := r.saved()[0]
	want := connection.Requests{Timeouts: connection.Timeouts{ConnectMs: 5000, TotalMs: 60000}, Retry: connection.Retry{Attempts: 3},
		Limits: connection.Limits{Concurrent: 4, PerSecond: 0.5}}
	if saved.Requests != want {
		t.Errorf("saved %+v", saved.Requests)
	}
	a := c.get("/connections/" + saved.ID + "/edit")
	a.contains(t, `id="requests" open`, `value="0.5"`, `value="60000"`)
	if a := c.get("/connections/new"); strings.Contains(a.body, `id="requests" open`) {
		t.Error("the section is open though nothing in it is set")
	}
}

func TestMistakenNumbersAreShownAtTheirFields(t *testing.T) {
	r := newRig(t)
	form := filled("https://erp.example.com")
	mistakes := map[string]string{
		"timeouts.connectMs": "soon", "timeouts.idleMs": "-5", "retry.attempts": "99", "retry.backoffMs": "0", "limits.perSecond": "many", "limits.queue": "1.5",
	}
	for path, value := range mistakes {
		form.Set("requests."+path, value)
	}
	a := r.client().post("/connections/new", form)
	for path, value := range mistakes {
		if between(a.body, `id="e-requests.`+path+`">`, "</p>") == "" {
			t.Errorf("nothing at %s", path)
		}
		a.contains(t, `value="`+value+`"`)
	}
	a.contains(t, `id="requests" open`, "Nothing was saved")
	if len(r.saved()) != 0 {
		t.Error("it was saved")
	}
}
