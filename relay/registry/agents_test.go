package registry

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/hub"
)

func TestAMachineIsEnrolledByItsCodeOnce(t *testing.T) {
	s := newSite(t)
	a := s.agent(t, "Plant 2")
	e, err := s.CreateEnrolment(t.Context(), s.ada, a.ID)
	must(t, err)
	if !e.ExpiresAt.Equal(s.now.Add(time.Hour)) || len(e.Code) != 29 {
		t.Errorf("got %+v", e)
	}
	// As someone types it from a sheet of paper.
	typed := strings.ToLower(strings.NewReplacer("-", " ", "0", "o", "1", "l").Replace(e.Code))
	got, err := s.Enrol(t.Context(), request(typed, "plc7"))
	must(t, err)
	if got.AgentID != a.ID || got.AgentName != "Plant 2" || got.RelayID != "relay-1" {
		t.Errorf("got %+v", got)
	}
	known, err := s.Enrolled(t.Context(), a.ID, got.InstanceID)
	must(t, err)
	if known.WorkspaceID != s.ada.WorkspaceID || string(known.PublicKey) != strings.Repeat("k", 32) {
		t.Errorf("got %+v", known)
	}
	_, err = s.Enrol(t.Context(), request(e.Code, "other"))
	wantCode(t, err, proto.CodeUnauthorized, "already used, on 1 March 2026 at 09:12 UTC")
	late, err := s.CreateEnrolment(t.Context(), s.ada, a.ID)
	must(t, err)
	s.now = s.now.Add(61 * time.Minute)
	_, err = s.Enrol(t.Context(), request(late.Code, "late"))
	wantCode(t, err, proto.CodeUnauthorized, "expired on 1 March 2026 at 10:12 UTC")
	_, err = s.Enrol(t.Context(), request("AAAAA-AAAAA-AAAAA-AAAAA-AAAAA", "x"))
	wantCode(t, err, proto.CodeUnauthorized, "not known")
	_, err = s.CreateEnrolment(t.Context(), s.ada, "agt_nowhere")
	wantCode(t, err, proto.CodeNotFound, "no such agent")
	want := []string{"Ada agent.create Plant 2:", "Ada agent.enrolment_code Plant 2:", "plc7 instance.enrol Plant 2: by a code of Ada", "Ada agent.enrolment_code Plant 2:"}
	if diff := cmp.Diff(want, s.trail(t)); diff != "" {
		t.Error(diff)
	}
}

func TestOfTwoMachinesWithOneCodeOneIsEnrolled(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		a := s.agent(t, "Plant 2")
		e, err := s.CreateEnrolment(t.Context(), s.ada, a.ID)
		must(t, err)
		results := make([]error, 4)
		var wg sync.WaitGroup
		for i := range results {
			wg.Go(func() { _, results[i] = s.Enrol(t.Context(), request(e.Code, fmt.Sprint("host", i))) })
		}
		wg.Wait()
		won := 0
		for _, err := range results {
			if err == nil {
				won++
				continue
			}
			wantCode(t, err, proto.CodeUnauthorized, "already used")
		}
		if won != 1 {
			t.Errorf("%d machines were enrolled", won)
		}
	})
}

func TestAStrangersEnrolmentIsBounded(t *testing.T) {
	s := newSite(t)
	a := s.agent(t, "Plant 2")
	e, err := s.CreateEnrolment(t.Context(), s.ada, a.ID)
	must(t, err)
	for name, spoil := range map[string]func(*EnrolRequest){
		"key too short":  func(r *EnrolRequest) { r.PublicKey = r.PublicKey[:31] },
		"key of zeros":   func(r *EnrolRequest) { r.PublicKey = make([]byte, 32) },
		"no code":        func(r *EnrolRequest) { r.Code = " " },
		"code too long":  func(r *EnrolRequest) { r.Code = strings.Repeat("A", 101) },
		"host too long":  func(r *EnrolRequest) { r.Hostname = strings.Repeat("h", 254) },
		"host with line": func(r *EnrolRequest) { r.Hostname = "a\nb" },
		"host not UTF-8": func(r *EnrolRequest) { r.Hostname = "\xff" },
		"OS too long":    func(r *EnrolRequest) { r.OS = strings.Repeat("o", 33) },
		"arch too long":  func(r *EnrolRequest) { r.Arch = strings.Repeat("o", 33) },
		"version too":    func(r *EnrolRequest) { r.Version = strings.Repeat("o", 65) },
	} {
		r := request(e.Code, "plc7")
		spoil(&r)
		_, err := s.Enrol(t.Context(), r)
		if e := proto.AsError(err); e == nil || e.Code != proto.CodeValidation {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range 20 {
		_, err = s.Enrol(t.Context(), request("AAAAA", "x"))
		wantCode(t, err, proto.CodeUnauthorized, "not known")
	}
	_, err = s.Enrol(t.Context(), request(e.Code, "plc7"))
	wantCode(t, err, proto.CodeTooManyRequests, "Try again in")
	elsewhere := request(e.Code, "plc7")
	elsewhere.Address = "198.51.100.9:1"
	_, err = s.Enrol(t.Context(), elsewhere) // the code is still good
	must(t, err)
}

func TestAnAgentsStatusFollowsItsMachines(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		a := s.agent(t, "Plant 2")
		e := s.enrol(t, a.ID, "plc7")
		second := s.enrol(t, a.ID, "plc8")
		status := func(want Status) Agent {
			t.Helper()
			got, err := s.Agent(ctx, s.ada, a.ID)
			must(t, err)
			if got.Status != want || len(got.Instances) != 2 {
				t.Errorf("got %+v, want %s", got, want)
			}
			return got
		}
		status(NeverConnected)
		in := hub.Instance{ID: e.InstanceID, Hostname: "plc7.new", OS: "linux", Arch: "arm64", Version: "2.0", ConnectedAt: s.now, LastSeenAt: s.now, Latency: 34 * time.Millisecond, InFlight: 2, Tunnels: 2}
		must(t, s.Connected(ctx, a.ID, in))
		s.online[a.ID] = []hub.Instance{in}
		got := status(Online)
		if !got.Instances[0].Online || got.Instances[0].Latency != 34*time.Millisecond || got.Instances[1].Online || got.Instances[1].Hostname != "plc8" {
			t.Errorf("got %+v", got.Instances)
		}
		delete(s.online, a.ID)
		left := s.now.Add(10 * time.Minute)
		must(t, s.Disconnected(ctx, a.ID, e.InstanceID, left, "its network went away"))
		got = status(Offline)
		if !got.LastSeenAt.Equal(left) || got.Instances[0].Hostname != "plc7.new" || got.Instances[0].Arch != "arm64" {
			t.Errorf("got %+v", got)
		}
		history, _, err := s.History(ctx, s.ada, a.ID, Page{})
		must(t, err)
		if len(history) != 2 || history[0].Online || history[0].Reason != "its network went away" || !history[1].Online {
			t.Errorf("got %+v", history)
		}
		if err := s.Connected(ctx, a.ID, hub.Instance{ID: "ins_nowhere"}); !errors.Is(err, hub.ErrNotEnrolled) {
			t.Errorf("unknown instance: %v", err)
		}

		noted := left.Add(30 * time.Second)
		ended, err := s.Seen(ctx, s.ada.WorkspaceID, []string{second.InstanceID, "ins_removed"}, noted)
		must(t, err)
		if diff := cmp.Diff([]string{"ins_removed"}, ended); diff != "" {
			t.Error(diff)
		}
		if known, err := s.Known(ctx, a.ID); err != nil || known.Name != "Plant 2" || !known.LastSeenAt.Equal(noted) {
			t.Errorf("got %+v, %v", known, err)
		}
		if _, err := s.Known(ctx, "agt_nowhere"); !errors.Is(err, hub.ErrNotEnrolled) {
			t.Errorf("unknown agent: %v", err)
		}

		must(t, s.RemoveInstance(ctx, s.ada, a.ID, second.InstanceID))
		wantCode(t, s.RemoveInstance(ctx, s.ada, a.ID, second.InstanceID), proto.CodeNotFound, "no such machine")
		if _, err := s.Enrolled(ctx, a.ID, second.InstanceID); !errors.Is(err, hub.ErrNotEnrolled) {
			t.Errorf("after its removal: %v", err)
		}
		must(t, s.Disconnected(ctx, a.ID, second.InstanceID, left, "removed"))
		if diff := cmp.Diff([]string{a.ID + "/" + second.InstanceID}, s.disconnected); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAnAgentInUseIsNotDeleted(t *testing.T) {
	s := newSite(t)
	a := s.agent(t, "Plant 2")
	e := s.enrol(t, a.ID, "plc7")
	var made []Connection
	for i := range 7 {
		spec := cloudSpec(fmt.Sprint("ERP ", i))
		spec.Mode, spec.AgentID = connection.OnPremise, a.ID
		made = append(made, s.create(t, spec, values("password", "x")))
	}
	err := s.DeleteAgent(t.Context(), s.ada, a.ID)
	wantCode(t, err, proto.CodeConflict, "7 connections use it: “ERP 0”, “ERP 1”, “ERP 2”, “ERP 3”, “ERP 4” and 2 more")
	got, err := s.Agent(t.Context(), s.ada, a.ID)
	must(t, err)
	uses, err := s.ConnectionsOf(t.Context(), s.ada, a.ID)
	must(t, err)
	if got.UsedBy != 7 || len(uses) != 7 || uses[0] != (Ref{made[0].ID, "ERP 0"}) {
		t.Errorf("got %+v, %v", got, uses)
	}
	for _, c := range made[1:] {
		must(t, s.DeleteConnection(t.Context(), s.ada, c.ID, 0))
	}
	wantCode(t, s.DeleteAgent(t.Context(), s.ada, a.ID), proto.CodeConflict, "1 connection uses it: “ERP 0”.")
	must(t, s.DeleteConnection(t.Context(), s.ada, made[0].ID, 0))
	must(t, s.DeleteAgent(t.Context(), s.ada, a.ID))
	if _, err := s.Enrolled(t.Context(), a.ID, e.InstanceID); !errors.Is(err, hub.ErrNotEnrolled) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff([]string{a.ID + "/"}, s.disconnected); diff != "" {
		t.Error(diff)
	}
	wantCode(t, s.DeleteAgent(t.Context(), s.ada, a.ID), proto.CodeNotFound, "no such agent")
}

func TestAgentsAreListedByNameAndRenamed(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"Plant 3", "plant 1", "Plant 2"} {
		a := s.agent(t, name)
		s.enrol(t, a.ID, "host of "+name)
	}
	page, next, err := s.Agents(t.Context(), s.ada, Page{Limit: 2})
	must(t, err)
	rest, end, err := s.Agents(t.Context(), s.ada, Page{Limit: 2, Cursor: next})
	must(t, err)
	if len(page) != 2 || page[0].Name != "plant 1" || page[1].Name != "Plant 2" || len(rest) != 1 || end != "" || rest[0].Instances[0].Hostname != "host of Plant 3" {
		t.Errorf("got %+v, %+v", page, rest)
	}
	renamed, err := s.RenameAgent(t.Context(), s.ada, page[0].ID, " Plant 9 ")
	must(t, err)
	if renamed.Name != "Plant 9" || renamed.Version != 2 || len(renamed.Instances) != 1 {
		t.Errorf("got %+v", renamed)
	}
	for _, name := range []string{"", "  ", "a\nb", strings.Repeat("x", 101)} {
		_, err = s.RenameAgent(t.Context(), s.ada, page[0].ID, name)
		wantCode(t, err, proto.CodeValidation, "1 to 100 characters")
	}
	_, err = s.RenameAgent(t.Context(), s.ada, "agt_nowhere", "x")
	wantCode(t, err, proto.CodeNotFound, "no such agent")
	_, _, err = s.Agents(t.Context(), s.ada, Page{Cursor: "x"})
	wantCode(t, err, proto.CodeValidation, "nextCursor")
}

func TestCommandsFetchWhatTheRelayHas(t *testing.T) {
	s := newSite(t)
	a := s.agent(t, "Plant 2")
	s.Installable = func() Installable { return Installable{Linux: true, Windows: true, Docker: true} }
	e, err := s.CreateEnrolment(t.Context(), s.ada, a.ID)
	must(t, err)
	want := Commands{
		Linux:   `curl -fsSL https://relay.example.com/install.sh | sudo sh -s -- --code ` + e.Code,
		Windows: `[Net.ServicePointManager]::SecurityProtocol = 'Tls12'; & ([scriptblock]::Create((irm https://relay.example.com/install.ps1))) -Code ` + e.Code,
		MacOS: `sallyport-agent enroll --relay https://relay.example.com --code ` + e.Code + ` --data "$HOME/Library/Application Support/sallyport-agent"` +
			` && sallyport-agent run --data "$HOME/Library/Application Support/sallyport-agent"`,
		Docker: `curl -fsSL https://relay.example.com/downloads/sallyport-agent-image-"$(docker version -f '{{.Server.Arch}}')".tar | docker load` +
			` && docker run -d --name sallyport-agent --restart unless-stopped --hostname "$(hostname)" -v sallyport-agent:/var/lib/sallyport-agent` +
			` -e SALLYPORT_RELAY=https://relay.example.com -e SALLYPORT_CODE=` + e.Code + ` sallyport-agent`,
	}
	if diff := cmp.Diff(want, e.Commands); diff != "" {
		t.Error(diff)
	}
}

func TestCommandsAreOfTheirShell(t *testing.T) {
	s := newSite(t)
	a := s.agent(t, "Plant 2")
	e, err := s.CreateEnrolment(t.Context(), s.ada, a.ID)
	must(t, err)
	want := Commands{
		Linux: `sallyport-agent enroll --relay https://relay.example.com --code ` + e.Code + ` --data "$HOME/.local/share/sallyport-agent"` +
			` && sallyport-agent run --data "$HOME/.local/share/sallyport-agent"`,
		MacOS: `sallyport-agent enroll --relay https://relay.example.com --code ` + e.Code + ` --data "$HOME/Library/Application Support/sallyport-agent"` +
			` && sallyport-agent run --data "$HOME/Library/Application Support/sallyport-agent"`,
		Windows: `sallyport-agent enroll --relay https://relay.example.com --code ` + e.Code + ` --data "$env:LOCALAPPDATA\sallyport-agent"` +
			`; if ($?) { sallyport-agent run --data "$env:LOCALAPPDATA\sallyport-agent" }`,
	}
	if diff := cmp.Diff(want, e.Commands); diff != "" {
		t.Error(diff)
	}
	if e.Fetched != (Installable{}) {
		t.Errorf("nothing can be fetched, but %+v is said to be", e.Fetched)
	}
	if got := shQuoted("https://x/$(id)'"); got != `'https://x/$(id)'\'''` {
		t.Errorf("got %s", got)
	}
	if got := powershellQuoted("https://x/$(id)'"); got != `'https://x/$(id)'''` {
		t.Errorf("got %s", got)
	}
}
