package registry

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/event"
	"sallyport/relay/probe"
	"sallyport/relay/session"
)

func TestSecretsAreSealedAndNeverReadBack(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		c := s.create(t, cloudSpec("ERP"), values("password", "hunter2", "unused", "x"))
		if diff := cmp.Diff([]string{"password", "unused"}, c.SecretNames); diff != "" {
			t.Error(diff)
		}
		row, err := s.workspace(s.ada).Connection(t.Context(), c.ID)
		must(t, err)
		if bytes.Contains(row.Secrets, []byte("hunter2")) || bytes.Contains(row.Spec, []byte("hunter2")) {
			t.Error("the store has the secret in clear text")
		}
		open, err := s.Resolve(t.Context(), s.ada, c.ID)
		must(t, err)
		if open.Secrets["password"] != "hunter2" || open.ID != c.ID || open.WorkspaceID != s.ada.WorkspaceID || open.MediaType != connection.JSON {
			t.Errorf("got %+v", open)
		}
		// The sealed secrets of one row are worth nothing in another.
		thief := s.create(t, cloudSpec("thief"), values("password", "x"))
		row.ID, row.Version = thief.ID, 2
		must(t, s.workspace(s.ada).UpdateConnection(t.Context(), row, 1))
		_, err = s.Resolve(t.Context(), s.ada, thief.ID)
		wantCode(t, err, proto.CodeInternal, "do not open")
		if strings.Contains(strings.Join(s.trail(t), "\n"), "hunter2") {
			t.Error("the audit trail has the secret")
		}
	})
}

func TestWhoMayOnlyLookReadsNoTypedCredentials(t *testing.T) {
	s := newSite(t)
	spec := cloudSpec("ERP")
	spec.Auth = connection.Auth{Type: connection.AuthBasic, Basic: &connection.BasicAuth{Username: "svc", Password: "hunter2"}}
	spec.Headers = []connection.Header{{Name: "X-Api-Key", Value: "t0p"}, {Name: "X-Tenant", Value: "acme"}, {Name: "X-Token", Value: "{{secret.token}}"}}
	spec.Requests.Timeouts.TotalMs = 60000
	c := s.create(t, spec, values("token", "x"))
	viewer := s.ada
	viewer.Role = account.Viewer
	for _, actor := range []account.Actor{s.ada, viewer} {
		want, headers := c.Spec, []string{"t0p", "acme", "{{secret.token}}"}
		basic := *want.Auth.Basic
		if actor.Role == account.Viewer {
			basic.Password, headers[0] = hiddenWord, hiddenWord
		}
		want.Auth.Basic, want.Headers = &basic, nil
		for i, h := range c.Headers {
			want.Headers = append(want.Headers, connection.Header{Name: h.Name, Value: headers[i]})
		}
		one, err := s.Connection(t.Context(), actor, c.ID)
		must(t, err)
		all, _, err := s.Connections(t.Context(), actor, Page{Limit: 10})
		must(t, err)
		for _, got := range append(all, one) {
			if diff := cmp.Diff(want, got.Spec); diff != "" {
				t.Errorf("%s: %s", actor.Role, diff)
			}
		}
		_, _, err = s.UpdateConnection(t.Context(), s.ada, c.ID, one.Version, one.Spec, nil)
		if actor.Role != account.Viewer {
			must(t, err)
			continue
		}
		var invalid *connection.Invalid
		if !errors.As(err, &invalid) || len(invalid.Fields) != 1 || !strings.Contains(invalid.Fields[0].Message, hiddenWord) {
			t.Errorf("what a viewer read was saved: %v", err)
		}
	}
}

func TestSecretsAreKeptReplacedAndRemovedByAnUpdate(t *testing.T) {
	s := newSite(t)
	c := s.create(t, cloudSpec("ERP"), values("password", "one", "company", "ACME"))
	cases := []struct {
		name    string
		secrets map[string]*string
		want    map[string]string
	}{
		{"kept", nil, map[string]string{"password": "one", "company": "ACME"}},
		{"replaced", values("password", "two"), map[string]string{"password": "two", "company": "ACME"}},
		{"removed", map[string]*string{"company": nil, "unknown": nil}, map[string]string{"password": "two"}},
		{"added", values("pin", ""), map[string]string{"password": "two", "pin": ""}},
	}
	for _, step := range cases {
		_, _, err := s.UpdateConnection(t.Context(), s.ada, c.ID, 0, cloudSpec("ERP"), step.secrets)
		must(t, err)
		open, err := s.Resolve(t.Context(), s.ada, c.ID)
		must(t, err)
		if diff := cmp.Diff(step.want, open.Secrets); diff != "" {
			t.Errorf("%s: %s", step.name, diff)
		}
	}
	_, _, err := s.UpdateConnection(t.Context(), s.ada, c.ID, 0, cloudSpec("ERP"), map[string]*string{"password": nil})
	wantFaults(t, err, "auth.cookie.body") // still used
}

func TestALostKeysetIsOvercomeBySettingEverySecretAnew(t *testing.T) {
	s := newSite(t)
	c := s.create(t, cloudSpec("ERP"), values("password", "one", "company", "ACME"))
	row, err := s.workspace(s.ada).Connection(t.Context(), c.ID)
	must(t, err)
	row.Secrets, row.Version = []byte("sealed by a lost key"), 2
	must(t, s.workspace(s.ada).UpdateConnection(t.Context(), row, 1))
	_, _, err = s.UpdateConnection(t.Context(), s.ada, c.ID, 0, cloudSpec("ERP"), values("password", "two"))
	wantCode(t, err, proto.CodeInternal, "do not open")
	_, _, err = s.UpdateConnection(t.Context(), s.ada, c.ID, 0, cloudSpec("ERP"), map[string]*string{"password": values("p", "two")["p"], "company": nil})
	must(t, err)
}

func TestEveryFaultIsReportedAndNothingHalfSaved(t *testing.T) {
	s := newSite(t)
	spec := connection.Spec{Mode: connection.OnPremise, AgentID: "agt_nowhere", BaseURI: "ftp://x", Auth: connection.Auth{Type: connection.AuthNone},
		Headers: []connection.Header{{Name: "X-A", Value: "a\r\nX-B: b"}}}
	_, _, err := s.CreateConnection(t.Context(), s.ada, spec, values("bad name", "x"))
	wantFaults(t, err, "name", "headers[0].value", "baseUri", "secrets.bad name", "agentId")
	_, err = s.Draft(t.Context(), s.ada, "", spec, nil)
	wantFaults(t, err, "name", "headers[0].value", "baseUri", "agentId")
	good := s.create(t, cloudSpec("ERP"), values("password", "one"))
	_, _, err = s.UpdateConnection(t.Context(), s.ada, good.ID, 0, spec, values("password", "two"))
	wantFaults(t, err, "name", "headers[0].value", "baseUri", "agentId")
	open, err := s.Resolve(t.Context(), s.ada, good.ID)
	must(t, err)
	list, _, err := s.Connections(t.Context(), s.ada, Page{})
	must(t, err)
	if len(list) != 1 || list[0].Version != 1 || open.Secrets["password"] != "one" {
		t.Errorf("something was saved: %+v, %v", list, open.Secrets)
	}
}

func TestTheSecondToSaveGetsAConflictThatNamesTheFirst(t *testing.T) {
	s := newSite(t)
	c := s.create(t, cloudSpec("ERP"), values("password", "x"))
	bob := s.ada
	bob.Name = "Bob"
	saved, _, err := s.UpdateConnection(t.Context(), bob, c.ID, c.Version, cloudSpec("ERP of Bob"), nil)
	must(t, err)
	if saved.Version != 2 || saved.UpdatedBy != "Bob" || saved.Name != "ERP of Bob" {
		t.Errorf("got %+v", saved)
	}
	_, _, err = s.UpdateConnection(t.Context(), s.ada, c.ID, c.Version, cloudSpec("ERP of Ada"), nil)
	wantCode(t, err, proto.CodeConflict, "Bob has saved this connection meanwhile, on 1 March 2026 at 09:12:00 UTC")
	wantCode(t, s.DeleteConnection(t.Context(), s.ada, c.ID, c.Version), proto.CodeConflict, "Bob has saved")
	_, _, err = s.UpdateConnection(t.Context(), s.ada, c.ID, 2, cloudSpec("ERP of Ada"), nil)
	must(t, err)
	_, _, err = s.UpdateConnection(t.Context(), s.ada, "con_nowhere", 0, cloudSpec("x"), values("password", "x"))
	wantCode(t, err, proto.CodeNotFound, "no such connection")
}

func TestOfManyWhoSaveOneVersionOneWins(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		c := s.create(t, cloudSpec("ERP"), values("password", "x"))
		results := make([]error, 6)
		var wg sync.WaitGroup
		for i := range results {
			wg.Go(func() {
				_, _, results[i] = s.UpdateConnection(t.Context(), s.ada, c.ID, 1, cloudSpec(fmt.Sprint("ERP ", i)), nil)
			})
		}
		wg.Wait()
		won := 0
		for _, err := range results {
			if err == nil {
				won++
			} else if e := proto.AsError(err); e == nil || e.Code != proto.CodeConflict {
				t.Errorf("got %v", err)
			}
		}
		if won != 1 {
			t.Errorf("%d saves won", won)
		}
	})
}

func TestTheSessionGoesWithWhatTheSignInDependsOn(t *testing.T) {
	s := newSite(t)
	agent := s.agent(t, "Plant 2")
	cases := []struct {
		name    string
		change  func(*connection.Spec)
		secrets map[string]*string
		drops   bool
	}{
		{name: "nothing", change: func(*connection.Spec) {}},
		{name: "name", change: func(c *connection.Spec) { c.Name = "other" }},
		{name: "ping", change: func(c *connection.Spec) { c.Ping.URI = "/me" }},
		{name: "same secret", change: func(*connection.Spec) {}, secrets: values("password", "x")},
		{name: "secret", change: func(*connection.Spec) {}, secrets: values("password", "y"), drops: true},
		{name: "base URI", change: func(c *connection.Spec) { c.BaseURI += "/v2" }, drops: true},
		{name: "header", change: func(c *connection.Spec) { c.Headers = []connection.Header{{Name: "X-A", Value: "a"}} }, drops: true},
		{name: "media type", change: func(c *connection.Spec) { c.MediaType = connection.XML }, drops: true},
		{name: "cookie URI", change: func(c *connection.Spec) { c.Auth.Cookie.URI = "/login" }, drops: true},
		{name: "status", change: func(c *connection.Spec) { c.Auth.Cookie.SuccessStatusCode = 204 }, drops: true},
		{name: "agent", change: func(c *connection.Spec) { c.Mode, c.AgentID = connection.OnPremise, agent.ID }, drops: true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			saved := s.create(t, cloudSpec("ERP"), values("password", "x"))
			must(t, s.SaveSession(t.Context(), s.ada.WorkspaceID, session.Session{ID: "ses_1", ConnectionID: saved.ID}))
			s.dropped = nil
			spec := cloudSpec("ERP")
			c.change(&spec)
			_, _, err := s.UpdateConnection(t.Context(), s.ada, saved.ID, 0, spec, c.secrets)
			must(t, err)
			_, err = s.LoadSession(t.Context(), s.ada.WorkspaceID, saved.ID)
			if gone := errors.Is(err, session.ErrNone); gone != c.drops || (len(s.dropped) == 1) != c.drops {
				t.Errorf("dropped: stored %v, held %v, want %v (%v)", gone, s.dropped, c.drops, err)
			}
		})
	}
}

func TestSessionsAreSealedUnderTheirConnection(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		ctx, ws := t.Context(), s.ada.WorkspaceID
		c, other := s.create(t, cloudSpec("ERP"), values("password", "x")), s.create(t, cloudSpec("other"), values("password", "x"))
		want := session.Session{ID: "ses_1", ConnectionID: c.ID, CreatedAt: s.now, SignIns: 3, Reason: "first use",
			Cookies: []session.SetCookie{{URL: "https://erp.example.com/session", Line: "SID=topsecret", At: s.now}}, Settings: "digest"}
		must(t, s.SaveSession(ctx, ws, want))
		got, err := s.LoadSession(ctx, ws, c.ID)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		sealed, err := s.Store.Workspace(ws).Session(ctx, c.ID)
		must(t, err)
		if bytes.Contains(sealed, []byte("topsecret")) {
			t.Error("the store has the cookie in clear text")
		}
		must(t, s.Store.Workspace(ws).SaveSession(ctx, other.ID, sealed, s.now, time.Time{}))
		if _, err := s.LoadSession(ctx, ws, other.ID); err == nil {
			t.Error("a session opened under another connection")
		}
		must(t, s.SignOut(ctx, s.ada, c.ID))
		if _, err := s.LoadSession(ctx, ws, c.ID); !errors.Is(err, session.ErrNone) {
			t.Errorf("after signing out: %v", err)
		}
		must(t, s.DeleteSession(ctx, ws, c.ID)) // none is fine
		wantCode(t, s.SignOut(ctx, s.ada, "con_nowhere"), proto.CodeNotFound, "")
	})
}

func TestADraftIsATestOfTheFormAndNothingElse(t *testing.T) {
	s := newSite(t)
	c := s.create(t, cloudSpec("ERP"), values("password", "kept", "company", "ACME"))
	spec := cloudSpec(" ERP ")
	spec.BaseURI = "https://new.example.com"
	draft, err := s.Draft(t.Context(), s.ada, c.ID, spec, values("company", "new"))
	must(t, err)
	if draft.ID != "" || draft.Name != "ERP" || draft.WorkspaceID != s.ada.WorkspaceID || draft.Secrets["password"] != "kept" || draft.Secrets["company"] != "new" {
		t.Errorf("got %+v", draft)
	}
	_, err = s.Draft(t.Context(), s.ada, "", spec, nil)
	wantFaults(t, err, "auth.cookie.body")
	_, err = s.Draft(t.Context(), s.ada, "con_nowhere", spec, nil)
	wantCode(t, err, proto.CodeNotFound, "")
	after, err := s.Connection(t.Context(), s.ada, c.ID)
	must(t, err)
	if after.Version != 1 || after.BaseURI != "https://erp.example.com/api" {
		t.Errorf("the draft was saved: %+v", after)
	}
}

func TestATakenNameIsAWarning(t *testing.T) {
	s := newSite(t)
	s.create(t, cloudSpec("Plant 2 ERP"), values("password", "x"))
	c, warnings, err := s.CreateConnection(t.Context(), s.ada, cloudSpec("plant 2 erp"), values("password", "x"))
	must(t, err)
	if len(warnings) != 1 || !strings.Contains(warnings[0], "Another connection is named “plant 2 erp”") {
		t.Errorf("got %v", warnings)
	}
	if _, warnings, err = s.UpdateConnection(t.Context(), s.ada, c.ID, 0, cloudSpec("unique"), nil); err != nil || len(warnings) != 0 {
		t.Errorf("got %v, %v", warnings, err)
	}
}

func TestTestsShowUpWithTheirConnection(t *testing.T) {
	s := newSite(t)
	c := s.create(t, cloudSpec("ERP"), values("password", "x"))
	passed := func(ms float64) probe.Result {
		return probe.Result{OK: true, DurationMs: 500, Steps: []probe.Step{{Name: probe.StepSignIn, Status: probe.OK}, {Name: probe.StepPing, Status: probe.OK, DurationMs: ms}}}
	}
	must(t, s.RecordTest(t.Context(), s.ada, c.ID, passed(10)))
	must(t, s.RecordTest(t.Context(), s.ada, c.ID, passed(20)))
	must(t, s.RecordTest(t.Context(), s.ada, c.ID, probe.Result{DurationMs: 30, Steps: []probe.Step{
		{Name: probe.StepSignIn, Status: probe.Failed, Message: "No cookie was set."}, {Name: probe.StepPing, Status: probe.Skipped}}}))
	list, _, err := s.Connections(t.Context(), s.ada, Page{})
	must(t, err)
	want := &LastTest{At: s.now, FailedStep: probe.StepSignIn, Message: "No cookie was set."}
	if diff := cmp.Diff(want, list[0].LastTest); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]float64{10, 20}, list[0].LatencyMs); diff != "" {
		t.Error(diff)
	}
	wantCode(t, s.RecordTest(t.Context(), s.ada, "con_nowhere", passed(1)), proto.CodeNotFound, "")
}

func TestViewersLookAndDoNotTouch(t *testing.T) {
	s := newSite(t)
	c := s.create(t, cloudSpec("ERP"), values("password", "x"))
	a := s.agent(t, "Plant 2")
	eve := s.ada
	eve.Role = account.Viewer
	ctx := t.Context()
	_, _, create := s.CreateConnection(ctx, eve, cloudSpec("x"), nil)
	_, _, update := s.UpdateConnection(ctx, eve, c.ID, 0, cloudSpec("x"), nil)
	_, resolve := s.Resolve(ctx, eve, c.ID)
	_, draft := s.Draft(ctx, eve, c.ID, cloudSpec("x"), nil)
	_, newAgent := s.CreateAgent(ctx, eve, "x")
	_, rename := s.RenameAgent(ctx, eve, a.ID, "x")
	_, enrolment := s.CreateEnrolment(ctx, eve, a.ID)
	for what, err := range map[string]error{"create": create, "update": update, "resolve": resolve, "draft": draft, "agent": newAgent,
		"rename": rename, "enrolment": enrolment, "delete": s.DeleteConnection(ctx, eve, c.ID, 0), "delete agent": s.DeleteAgent(ctx, eve, a.ID),
		"remove machine": s.RemoveInstance(ctx, eve, a.ID, "ins_1"), "sign out": s.SignOut(ctx, eve, c.ID),
		"record": s.RecordTest(ctx, eve, c.ID, probe.Result{})} {
		if e := proto.AsError(err); e == nil || e.Code != proto.CodeForbidden {
			t.Errorf("%s: %v", what, err)
		}
	}
	if list, _, err := s.Connections(ctx, eve, Page{}); err != nil || len(list) != 1 {
		t.Errorf("got %v, %v", list, err)
	}
}

func TestAnActorOfAnotherWorkspaceFindsNothing(t *testing.T) {
	s := newSite(t)
	c := s.create(t, cloudSpec("ERP"), values("password", "x"))
	other, err := s.Store.CreateWorkspace(t.Context(), "other", "Other")
	must(t, err)
	mallory := account.Actor{WorkspaceID: other.ID(), Kind: "user", ID: "usr_m", Name: "Mallory", Role: account.Admin}
	_, err = s.Resolve(t.Context(), mallory, c.ID)
	wantCode(t, err, proto.CodeNotFound, "")
	_, _, err = s.UpdateConnection(t.Context(), mallory, c.ID, 0, cloudSpec("x"), values("password", "x"))
	wantCode(t, err, proto.CodeNotFound, "")
	wantCode(t, s.DeleteConnection(t.Context(), mallory, c.ID, 0), proto.CodeNotFound, "")
	site := s.agent(t, "Plant 2")
	spec := cloudSpec("through it")
	spec.Mode, spec.AgentID = connection.OnPremise, site.ID
	_, _, err = s.CreateConnection(t.Context(), mallory, spec, values("password", "x"))
	wantFaults(t, err, "agentId")
}

func TestChangesAreWrittenDownAndTold(t *testing.T) {
	s := newSite(t)
	sub := s.Events.Subscribe(s.ada.WorkspaceID)
	defer sub.Close()
	c := s.create(t, cloudSpec("ERP"), values("password", "x"))
	spec := cloudSpec("ERP 2")
	spec.Ping.URI = "/me"
	_, _, err := s.UpdateConnection(t.Context(), s.ada, c.ID, 0, spec, values("password", "y"))
	must(t, err)
	_, _, err = s.UpdateConnection(t.Context(), s.ada, c.ID, 0, spec, values("password", "y")) // the same once more
	must(t, err)
	must(t, s.SignOut(t.Context(), s.ada, c.ID))
	must(t, s.DeleteConnection(t.Context(), s.ada, c.ID, 0))
	want := []string{"Ada connection.create ERP:", "Ada connection.update ERP 2: name, ping URI, secret password", "Ada connection.update ERP 2: nothing",
		"Ada connection.sign_out ERP 2:", "Ada connection.delete ERP 2:"}
	if diff := cmp.Diff(want, s.trail(t)); diff != "" {
		t.Error(diff)
	}
	for range want {
		select {
		case e := <-sub.C:
			if e.Type != event.ConnectionChanged || e.ID != c.ID {
				t.Errorf("got %+v", e)
			}
		case <-time.After(time.Second):
			t.Fatal("an event is missing")
		}
	}
	// What failed is not written down.
	_, _, err = s.CreateConnection(t.Context(), s.ada, connection.Spec{}, nil)
	if err == nil || len(s.trail(t)) != len(want) {
		t.Errorf("got %v, %v", err, s.trail(t))
	}
}
