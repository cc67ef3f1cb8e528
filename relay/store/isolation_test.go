package store

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"
)

// foreign is what workspace B has, and what A's handle is let loose on.
type foreign struct {
	agent      Agent
	instance   Instance
	connection Connection
	user       User
	token      Token
}

// TestOneWorkspaceCantReachAnother calls every method of A's handle with the
// ids of B's rows. A new method fails the test until it has a case.
func TestOneWorkspaceCantReachAnother(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		a := home(s)
		b, err := s.CreateWorkspace(ctx, "other", "Other")
		must(t, err)
		f := foreign{agent: addAgent(t, b, "B's agent"), user: addUser(t, b, "b@example.com")}
		f.connection = addConnection(t, b, "B's connection", f.agent.ID)
		f.instance = addInstance(t, s, b, f.agent.ID)
		f.token = Token{ID: NewID("tok"), Name: "B's token", Role: "admin", CreatedAt: noon}
		must(t, b.CreateToken(ctx, f.token, []byte("hash")))
		must(t, b.SaveSession(ctx, f.connection.ID, []byte("B's session"), noon, time.Time{}))
		_, err = b.TakeSignIn(ctx, f.connection.ID, "B", SignIn{})
		must(t, err)
		must(t, b.AddTest(ctx, Test{ID: NewID("tst"), ConnectionID: f.connection.ID, At: noon}))
		must(t, b.AddHistory(ctx, Event{ID: NewID("evt"), AgentID: f.agent.ID, At: noon}))
		must(t, b.AddAudit(ctx, Entry{ID: NewID("aud"), At: noon}))
		_, err = b.SetPresence(ctx, Presence{Run: someRun, Counter: 1, AgentID: f.agent.ID, InstanceID: f.instance.ID, Online: true, ConnectedAt: noon})
		must(t, err)

		must(t, b.ScheduleHealth(ctx, f.connection.ID, noon))
		claimed, err := s.ClaimHealth(ctx, Claim{Lease: "B's", Now: noon, Until: noon.Add(time.Hour), Limit: 9})
		must(t, err)
		if len(claimed) != 1 {
			t.Fatalf("claimed %+v", claimed)
		}
		must(t, b.AddNotice(ctx, Notice{ID: NewID("ntc"), ConnectionID: f.connection.ID, At: noon, Kind: "email", Body: []byte("{}")}))
		_, _, err = b.BeginResult(ctx, someKey(f.connection.ID), someRun, s.Now().Add(time.Hour))
		must(t, err)

		before := dump(t, s)
		cases := isolationCases(a, f)
		handle := reflect.TypeFor[*Workspace]()
		for i := range handle.NumMethod() {
			name := handle.Method(i).Name
			try, ok := cases[name]
			if !ok {
				t.Errorf("no case for Workspace.%s", name)
				continue
			}
			t.Run(name, func(t *testing.T) { try(t, ctx) })
		}
		if after := dump(t, s); !reflect.DeepEqual(before, after) {
			t.Errorf("B's rows have changed:\n%v\n%v", before, after)
		}
	})
}

func isolationCases(a *Workspace, f foreign) map[string]func(*testing.T, context.Context) {
	refused := func(wants ...error) func(*testing.T, error) {
		return func(t *testing.T, err error) {
			t.Helper()
			for _, want := range wants {
				if errors.Is(err, want) {
					return
				}
			}
			t.Errorf("got %v, want one of %v", err, wants)
		}
	}
	notFound, noReference := refused(ErrNotFound), refused(ErrReference, ErrNotFound)
	empty := func(t *testing.T, n int, err error) {
		t.Helper()
		if err != nil || n != 0 {
			t.Errorf("got %d rows, %v", n, err)
		}
	}
	type T = *testing.T
	type C = context.Context
	return map[string]func(T, C){
		"ID":         func(t T, _ C) { _ = a.ID() },
		"Atomically": func(t T, ctx C) { must(t, a.Atomically(ctx, func(*Workspace) error { return nil })) },
		"Together":   func(t T, ctx C) { must(t, a.Together(ctx, func(context.Context, *Workspace) error { return nil })) },

		"CreateUser":       func(t T, ctx C) { refused(ErrTaken)(t, a.CreateUser(ctx, f.user)) },
		"Users":            func(t T, ctx C) { got, err := a.Users(ctx); empty(t, len(got), err) },
		"People":           func(t T, ctx C) { got, _, err := a.People(ctx, Page{}); empty(t, len(got), err) },
		"DeleteUser":       func(t T, ctx C) { notFound(t, a.DeleteUser(ctx, f.user.ID)) },
		"User":             func(t T, ctx C) { _, err := a.User(ctx, f.user.ID); notFound(t, err) },
		"SetPassword":      func(t T, ctx C) { notFound(t, a.SetPassword(ctx, f.user.ID, "x")) },
		"SetRole":          func(t T, ctx C) { notFound(t, a.SetRole(ctx, f.user.ID, "viewer")) },
		"DisableUser":      func(t T, ctx C) { notFound(t, a.DisableUser(ctx, f.user.ID, noon)) },
		"RecordSignIn":     func(t T, ctx C) { notFound(t, a.RecordSignIn(ctx, f.user.ID, noon)) },
		"CreateSignInLink": func(t T, ctx C) { noReference(t, a.CreateSignInLink(ctx, []byte("l"), f.user.ID, noon)) },

		"CreateToken": func(t T, ctx C) { refused(ErrTaken)(t, a.CreateToken(ctx, f.token, []byte("other"))) },
		"Tokens":      func(t T, ctx C) { got, err := a.Tokens(ctx); empty(t, len(got), err) },
		"Token":       func(t T, ctx C) { _, err := a.Token(ctx, f.token.ID); notFound(t, err) },
		"DeleteToken": func(t T, ctx C) { notFound(t, a.DeleteToken(ctx, f.token.ID)) },
		"TouchToken":  func(t T, ctx C) { must(t, a.TouchToken(ctx, f.token.ID, noon)) },

		"CreateAgent": func(t T, ctx C) { refused(ErrTaken)(t, a.CreateAgent(ctx, f.agent)) },
		"Agents":      func(t T, ctx C) { got, _, err := a.Agents(ctx, Page{}); empty(t, len(got), err) },
		"Agent":       func(t T, ctx C) { _, err := a.Agent(ctx, f.agent.ID); notFound(t, err) },
		"RenameAgent": func(t T, ctx C) { notFound(t, a.RenameAgent(ctx, f.agent.ID, "x", 0, noon, "x")) },
		"DeleteAgent": func(t T, ctx C) { notFound(t, a.DeleteAgent(ctx, f.agent.ID)) },
		"CountConnections": func(t T, ctx C) {
			got, err := a.CountConnections(ctx, []string{f.agent.ID})
			empty(t, len(got), err)
		},
		"ConnectionsOf": func(t T, ctx C) { got, err := a.ConnectionsOf(ctx, f.agent.ID); empty(t, len(got), err) },
		"AddHistory": func(t T, ctx C) {
			noReference(t, a.AddHistory(ctx, Event{ID: NewID("evt"), AgentID: f.agent.ID, At: noon}))
		},
		"ExplainHistory": func(t T, ctx C) {
			noReference(t, a.ExplainHistory(ctx, Event{ID: NewID("evt"), AgentID: f.agent.ID, At: noon, Cause: "slept"}, noon, "r1"))
		},
		"History": func(t T, ctx C) { got, _, err := a.History(ctx, f.agent.ID, Page{}); empty(t, len(got), err) },

		"Instances":      func(t T, ctx C) { got, err := a.Instances(ctx, []string{f.agent.ID}); empty(t, len(got), err) },
		"DeleteInstance": func(t T, ctx C) { notFound(t, a.DeleteInstance(ctx, f.agent.ID, f.instance.ID)) },
		"InstanceConnected": func(t T, ctx C) {
			notFound(t, a.InstanceConnected(ctx, Instance{ID: f.instance.ID, AgentID: f.agent.ID, ConnectedAt: noon, LastSeenAt: noon}))
		},
		"InstancesSeen": func(t T, ctx C) { must(t, a.InstancesSeen(ctx, []string{f.instance.ID}, noon)) },
		"InstancesAbsent": func(t T, ctx C) {
			if ended, err := a.InstancesAbsent(ctx, []string{f.instance.ID}); err != nil || len(ended) != 1 {
				t.Errorf("got %q, %v", ended, err)
			}
		},
		"InstanceSeen": func(t T, ctx C) { must(t, a.InstanceSeen(ctx, f.agent.ID, f.instance.ID, noon)) },
		"SetPresence": func(t T, ctx C) {
			set, err := a.SetPresence(ctx, Presence{Run: someRun, Counter: 2, AgentID: f.agent.ID, InstanceID: f.instance.ID, ConnectedAt: noon})
			if err != nil || set {
				t.Errorf("got %v, %v", set, err)
			}
		},
		"Present": func(t T, ctx C) {
			got, err := a.Present(ctx, []string{f.agent.ID}, []Run{someRun})
			empty(t, len(got), err)
		},
		"CreateEnrolmentCode": func(t T, ctx C) {
			noReference(t, a.CreateEnrolmentCode(ctx, EnrolmentCode{AgentID: f.agent.ID, CreatedAt: noon, ExpiresAt: noon.Add(time.Hour)}, []byte("c")))
		},

		"CreateConnection": func(t T, ctx C) {
			refused(ErrTaken)(t, a.CreateConnection(ctx, Connection{ID: f.connection.ID, CreatedAt: noon, UpdatedAt: noon}))
			noReference(t, a.CreateConnection(ctx, newConnection("through B's agent", f.agent.ID)))
		},
		"Connections":      func(t T, ctx C) { got, _, err := a.Connections(ctx, Page{}); empty(t, len(got), err) },
		"Connection":       func(t T, ctx C) { _, err := a.Connection(ctx, f.connection.ID); notFound(t, err) },
		"UpdateConnection": func(t T, ctx C) { notFound(t, a.UpdateConnection(ctx, f.connection, 1)) },
		"DeleteConnection": func(t T, ctx C) { notFound(t, a.DeleteConnection(ctx, f.connection.ID, 0)) },
		"KeyTaken": func(t T, ctx C) {
			if taken, err := a.KeyTaken(ctx, f.connection.Key, ""); err != nil || taken {
				t.Errorf("%v %v", taken, err)
			}
		},
		"NameTaken": func(t T, ctx C) {
			if taken, err := a.NameTaken(ctx, f.connection.Name, ""); err != nil || taken {
				t.Errorf("got %v, %v", taken, err)
			}
		},
		"Session": func(t T, ctx C) { _, err := a.Session(ctx, f.connection.ID); notFound(t, err) },
		"SaveSession": func(t T, ctx C) {
			noReference(t, a.SaveSession(ctx, f.connection.ID, []byte("A's session"), noon, noon))
		},
		"DeleteSession": func(t T, ctx C) { must(t, a.DeleteSession(ctx, f.connection.ID)) },
		"TakeSignIn": func(t T, ctx C) {
			_, err := a.TakeSignIn(ctx, f.connection.ID, "A", SignIn{Holder: "B", Beat: 1})
			noReference(t, err)
		},
		"SignIn":        func(t T, ctx C) { _, err := a.SignIn(ctx, f.connection.ID); notFound(t, err) },
		"BeatSignIn":    func(t T, ctx C) { notFound(t, a.BeatSignIn(ctx, f.connection.ID, "B")) },
		"FreeSignIn":    func(t T, ctx C) { notFound(t, a.FreeSignIn(ctx, f.connection.ID, "B", "")) },
		"ForgetSignIns": func(t T, ctx C) { must(t, a.ForgetSignIns(ctx, f.connection.ID)) },
		"AddTest": func(t T, ctx C) {
			noReference(t, a.AddTest(ctx, Test{ID: NewID("tst"), ConnectionID: f.connection.ID, At: noon}))
		},
		"Tests": func(t T, ctx C) {
			got, err := a.Tests(ctx, []string{f.connection.ID}, 5)
			empty(t, len(got), err)
		},
		"ScheduleHealth": func(t T, ctx C) { must(t, a.ScheduleHealth(ctx, f.connection.ID, noon.Add(-time.Hour))) },
		"ScheduleHealthOf": func(t T, ctx C) {
			must(t, a.ScheduleHealthOf(ctx, f.agent.ID, "unknown", true, noon.Add(-time.Hour)))
		},
		"Healths": func(t T, ctx C) {
			got, err := a.Healths(ctx, []string{f.connection.ID})
			empty(t, len(got), err)
		},
		"RecentResults": func(t T, ctx C) {
			got, err := a.RecentResults(ctx, []string{f.connection.ID}, 5)
			empty(t, len(got), err)
		},
		"CountResults": func(t T, ctx C) {
			got, err := a.CountResults(ctx, f.connection.ID, noon.Add(-time.Hour))
			empty(t, len(got), err)
		},
		"HealthChanges": func(t T, ctx C) { got, err := a.HealthChanges(ctx, f.connection.ID, 5); empty(t, len(got), err) },
		"SettleHealth": func(t T, ctx C) {
			settled, err := a.SettleHealth(ctx, Settled{Lease: "B's", Was: noon, Health: Health{ConnectionID: f.connection.ID, State: "online"},
				Result: &HealthResult{ConnectionID: f.connection.ID, At: noon}})
			if err != nil || settled {
				t.Errorf("got %v, %v", settled, err)
			}
		},
		"AddNotice": func(t T, ctx C) {
			noReference(t, a.AddNotice(ctx, Notice{ID: NewID("ntc"), ConnectionID: f.connection.ID, At: noon}))
		},
		"Notices": func(t T, ctx C) { got, err := a.Notices(ctx, f.connection.ID, 5); empty(t, len(got), err) },
		"AuditOf": func(t T, ctx C) {
			got, err := a.AuditOf(ctx, f.connection.ID, noon.Add(-time.Hour), 5)
			empty(t, len(got), err)
		},
		"BeginResult": func(t T, ctx C) {
			_, _, err := a.BeginResult(ctx, someKey(f.connection.ID), someRun, noon)
			noReference(t, err)
		},
		"KeepResult": func(t T, ctx C) {
			notFound(t, a.KeepResult(ctx, someKey(f.connection.ID), someRun, []byte("A's")))
		},
		"FreeResult": func(t T, ctx C) { must(t, a.FreeResult(ctx, someKey(f.connection.ID), someRun)) },
		"AddAudit":   func(t T, ctx C) { must(t, a.AddAudit(ctx, Entry{ID: NewID("aud"), At: noon})) },
		"Audit": func(t T, ctx C) {
			entries, _, err := a.Audit(ctx, AuditFilter{}, Page{})
			must(t, err)
			if len(entries) != 1 { // its own, of the case before
				t.Errorf("got %d entries", len(entries))
			}
		},
	}
}

// someRun is a run of some relay.
var someRun = Run{RelayID: "rly_1", Epoch: 3}

// dump is B's state, as seen by B.
func dump(t *testing.T, s *Store) []any {
	t.Helper()
	ctx := t.Context()
	id, err := one(ctx, s.read, "find B", func(row scanner) (id string, err error) { return id, row.Scan(&id) },
		`SELECT id FROM workspaces WHERE slug = 'other'`)
	must(t, err)
	b := s.Workspace(id)
	var state []any
	keep := func(v any, err error) {
		must(t, err)
		state = append(state, v)
	}
	users, err := b.Users(ctx)
	keep(users, err)
	tokens, err := b.Tokens(ctx)
	keep(tokens, err)
	agents, _, err := b.Agents(ctx, Page{})
	keep(agents, err)
	instances, err := b.Instances(ctx, []string{agents[0].ID})
	keep(instances, err)
	present, err := b.Present(ctx, []string{agents[0].ID}, []Run{someRun})
	keep(present, err)
	history, _, err := b.History(ctx, agents[0].ID, Page{})
	keep(history, err)
	connections, _, err := b.Connections(ctx, Page{})
	keep(connections, err)
	sealed, err := b.Session(ctx, connections[0].ID)
	keep(sealed, err)
	signIn, err := b.SignIn(ctx, connections[0].ID)
	keep(signIn, err)
	tests, err := b.Tests(ctx, []string{connections[0].ID}, 5)
	keep(tests, err)
	healths, err := b.Healths(ctx, []string{connections[0].ID})
	keep(healths, err)
	results, err := b.RecentResults(ctx, []string{connections[0].ID}, 5)
	keep(results, err)
	changes, err := b.HealthChanges(ctx, connections[0].ID, 5)
	keep(changes, err)
	notices, err := b.Notices(ctx, connections[0].ID, 5)
	keep(notices, err)
	audit, _, err := b.Audit(ctx, AuditFilter{}, Page{})
	keep(audit, err)
	result, first, err := b.BeginResult(ctx, someKey(connections[0].ID), someRun, s.Now().Add(time.Hour))
	keep(result, err)
	keep(first, nil)
	return state
}
