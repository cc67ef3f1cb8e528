package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/relay/store"
)

var nextPage = regexp.MustCompile(`href="([^"]+)" rel="next"`)

// walk follows a list to its end and returns how many rows it has.
func walk(t *testing.T, c *client, path string) (rows, pages int) {
	t.Helper()
	for path != "" {
		a := c.get(path)
		if a.status != http.StatusOK {
			t.Fatalf("%s: %d", path, a.status)
		}
		if pages++; pages > 200 {
			t.Fatal("there is no end")
		}
		on := strings.Count(a.body, `<td class="main">`)
		if on > 50 {
			t.Errorf("%s has %d rows", path, on)
		}
		rows += on
		m := nextPage.FindStringSubmatch(a.body)
		if path = ""; m != nil {
			path = strings.ReplaceAll(m[1], "&amp;", "&")
		}
	}
	return rows, pages
}

func TestListsOfActivityAndPeopleWorkAtAnySize(t *testing.T) {
	r := newRig(t)
	c := r.client()
	c.get("/activity/requests").contains(t, "Nothing was sent yet")
	c.get("/activity?kind=agent").contains(t, "Nothing here yet")
	w := r.store.Workspace(r.admin.WorkspaceID)
	had := 0
	for _, n := range []int{1, 20, 5000} {
		must(t, w.Atomically(t.Context(), func(w *store.Workspace) error {
			for ; had < n; had++ {
				if err := w.AddAudit(context.Background(), store.Entry{ID: store.NewID("aud"), At: time.Now(), ActorName: "Ada", Action: "agent.create", ObjectType: "agent", ObjectID: "agt_1", ObjectName: "Plant"}); err != nil {
					return err
				}
				email := fmt.Sprintf("p%04d@example.com", had)
				if err := w.CreateUser(context.Background(), store.User{ID: store.NewID("usr"), Email: email, Name: email, Role: "viewer", CreatedAt: time.Now()}); err != nil {
					return err
				}
			}
			return nil
		}))
		if n < 5000 {
			if rows, _ := walk(t, c, "/activity?kind=agent"); rows != n {
				t.Errorf("%d lines of %d", rows, n)
			}
			if rows, _ := walk(t, c, "/settings/people"); rows != n+1 {
				t.Errorf("%d people, want %d", rows, n+1)
			}
		}
	}
	if rows, pages := walk(t, c, "/settings/people?q=p49"); rows != 100 || pages != 2 {
		t.Errorf("%d people on %d pages", rows, pages)
	}
	c.get("/settings/people").contains(t, `rel="next"`)
	c.get("/activity?kind=agent").contains(t, `rel="next"`, "kind=agent")
	c.get("/settings/people?q=P4999").contains(t, "p4999@example.com")
	c.get("/settings/people?q=zzz").contains(t, "Nobody here")
}

func TestThousandsOfTokensAreShownInParts(t *testing.T) {
	r := newRig(t)
	c := r.client()
	c.get("/settings").contains(t, "No token yet")
	must(t, r.store.Workspace(r.admin.WorkspaceID).Atomically(t.Context(), func(w *store.Workspace) error {
		for i := range 5000 {
			token := store.Token{ID: store.NewID("tok"), WorkspaceID: r.admin.WorkspaceID, Name: fmt.Sprint("program ", i), Role: "viewer", CreatedBy: "Ada", CreatedAt: time.Now()}
			if err := w.CreateToken(context.Background(), token, fmt.Appendf(nil, "%032d", i)); err != nil {
				return err
			}
		}
		return nil
	}))
	for path, next := range map[string]string{"/settings": "/settings?tokens=50#tokens", "/settings?tokens=4900": "/settings?tokens=4950#tokens", "/settings?tokens=4950": ""} {
		a := c.get(path)
		m := nextPage.FindStringSubmatch(a.body)
		if n := strings.Count(a.body, "/revoke"); n != 50 || (m == nil) != (next == "") || m != nil && m[1] != next {
			t.Errorf("%s: %d tokens, then %v", path, n, m)
		}
	}
	c.get("/settings?tokens=nonsense").contains(t, "program")
}

func TestRequestsAppearUnderActivity(t *testing.T) {
	r := newRig(t)
	c := r.client()
	conn := r.connection(spec(warehouse(t).URL))
	c.post("/connections/"+conn.ID+"/send", url.Values{"method": {"GET"}, "path": {"/me?token=s3cret"}})
	c.post("/connections/"+conn.ID+"/send", url.Values{"method": {"POST"}, "path": {"/me"}})
	a := c.get("/activity/requests")
	a.contains(t, "GET /me", "POST /me", "405", "Administrator", "Warehouse")
	if strings.Contains(a.body, "s3cret") {
		t.Error("the query is shown")
	}
	if a := c.get("/activity/requests?failed=1&connection=" + conn.ID); strings.Contains(a.body, "GET /me") || !strings.Contains(a.body, "POST /me") {
		t.Error("the filter does not filter")
	}
	c.get("/activity/requests?connection=con_none").contains(t, "Nothing here matches", "a connection that was deleted")
	c.get("/activity").contains(t, `title="connection.create">Created<`, "Warehouse")
}

func TestPeopleAreInvitedAndLockedOutOnTheirPage(t *testing.T) {
	r := newRig(t)
	c := r.client()
	a := c.post("/settings/people", url.Values{"email": {"nobody"}, "name": {"Ada"}, "role": {"viewer"}})
	a.contains(t, "is not an e-mail address", `value="nobody"`, `value="Ada"`, `value="viewer" selected`)
	a = c.post("/settings/people", url.Values{"email": {"ada@example.com"}, "name": {strings.Repeat("a", 101)}, "role": {"boss"}})
	a.contains(t, `id="e-email"></p>`, `aria-describedby="e-name" aria-invalid="true" autofocus`, `id="e-name">The name must have 1 to 100`, `aria-describedby="e-role" aria-invalid="true">`, `id="e-role">&#34;boss&#34; is not a role`)
	a = c.post("/settings/people", url.Values{"email": {"ada@example.com"}, "role": {"viewer"}})
	a.contains(t, "Send this link to ada@example.com", r.url+"/sign-in/link/")
	people, err := r.accounts.Users(t.Context(), r.admin)
	must(t, err)
	ada, first := people[0], people[1]
	c.post("/settings/people", url.Values{"email": {"ada@example.com"}, "role": {"viewer"}}).contains(t, `id="e-email">ada@example.com has an account already`)
	if ada.Email != "ada@example.com" {
		ada, first = first, ada
	}
	do := func(id, do string, more ...string) answer {
		form := url.Values{"do": {do}}
		if len(more) > 0 {
			form.Set("role", more[0])
		}
		return c.post("/settings/people/"+id, form)
	}
	if a := do(first.ID, "role", "viewer"); a.status != http.StatusConflict {
		t.Errorf("the last administrator: %d", a.status)
	} else {
		a.contains(t, "This is the last administrator")
	}
	for _, one := range []answer{do(ada.ID, "role", "editor"), do(ada.ID, "disable"), do(ada.ID, "enable")} {
		if one.status != http.StatusSeeOther {
			t.Errorf("status %d", one.status)
		}
	}
	do(ada.ID, "link").contains(t, "Send this link to ada@example.com")
	if u, err := r.accounts.User(t.Context(), ada.ID); err != nil || u.Role != "editor" || u.Disabled {
		t.Errorf("%+v, %v", u, err)
	}
	do(ada.ID, "remove")
	if _, err := r.accounts.User(t.Context(), ada.ID); err == nil {
		t.Error("she is still there")
	}
	if a := do(ada.ID, "remove"); a.status != http.StatusNotFound {
		t.Errorf("once more: %d", a.status)
	}
	viewer := r.admin
	viewer.Role = "viewer"
	if _, _, err := r.accounts.CreateUser(t.Context(), viewer, "x@example.com", "", "viewer"); err == nil {
		t.Error("a viewer invites")
	}
}
