package health

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/hub"
	"sallyport/relay/probe"
)

// inTime runs a test in synctest's time, with a relay that watches an app.
func inTime(t *testing.T, test func(t *testing.T, a *app, r *relay)) {
	synctest.Test(t, func(t *testing.T) {
		a := &app{}
		r := start(t, a, "", "", 10*time.Second) // often enough, and hours pass in no time
		defer r.stop()
		test(t, a, r)
	})
}

// notices are the posts that the webhook got, each signed as it has to be.
func (a *app) notices(t *testing.T) (all []Notice) {
	t.Helper()
	for _, p := range a.posted() {
		mac := hmac.New(sha256.New, []byte("signing key"))
		fmt.Fprintf(mac, "%s.%s.%s", p.header.Get("webhook-id"), p.header.Get("webhook-timestamp"), p.body)
		if got, want := p.header.Get("webhook-signature"), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)); got != want {
			t.Errorf("signature %q, want %q", got, want)
		}
		if strings.Contains(p.body, "t0p-secret") || strings.Contains(p.body, "correct horse") {
			t.Errorf("a secret in %s", p.body)
		}
		var n Notice
		if err := json.Unmarshal([]byte(p.body), &n); err != nil || n.ID != p.header.Get("webhook-id") {
			t.Errorf("%v, id %s: %s", err, p.header.Get("webhook-id"), p.body)
		}
		all = append(all, n)
	}
	return all
}

func TestAConnectionIsWatchedAndItsChangesAreTold(t *testing.T) {
	inTime(t, func(t *testing.T, a *app, r *relay) {
		id := r.save(spec(nil))
		time.Sleep(15 * time.Second)
		if got := r.report(id); got.State != Online || len(got.Results) != 1 || got.Day.Percent() != 100 || got.CheckedAt.IsZero() {
			t.Fatalf("%+v", got)
		}
		time.Sleep(time.Hour)
		if n := len(r.report(id).Results); n < 11 || n > 15 {
			t.Errorf("%d pings in an hour", n)
		}
		if a.signIns.Load() != 1 {
			t.Errorf("%d sign-ins, where one session does", a.signIns.Load())
		}
		a.expire()
		time.Sleep(6 * time.Minute)
		if got := r.report(id); got.State != Online || len(got.Changes) != 1 || a.signIns.Load() != 2 {
			t.Errorf("a session that ended: %d sign-ins, %+v", a.signIns.Load(), got)
		}
		if n := a.notices(t); len(n) > 0 {
			t.Errorf("told of %+v", n)
		}

		c, err := r.registry.Connection(context.Background(), r.admin, id)
		must(t, err)
		c.Spec.Headers = []connection.Header{{Name: "X-Company", Value: "4711"}}
		_, _, err = r.registry.UpdateConnection(context.Background(), r.admin, id, 0, c.Spec, nil)
		must(t, err)
		a.broken.Store(true)
		time.Sleep(time.Minute)
		got := r.report(id)
		if got.State != Failing || time.Since(got.Since) < 30*time.Second || got.Changes[0].Was != Online || !strings.Contains(got.Message, "500") || !strings.Contains(got.Results[0].Message, "500") {
			t.Fatalf("%+v", got)
		}
		a.broken.Store(false)
		time.Sleep(6 * time.Minute)
		notices := a.notices(t)
		if len(notices) != 2 || notices[0].Type != TypeFailing || notices[1].Type != TypeOnline || notices[0].Was != Online || notices[1].Was != Failing {
			t.Fatalf("told of %+v", notices)
		}
		n := notices[0]
		if n.Connection.URL != "https://relay.example.com/connections/"+id || n.Connection.Name != "Plant 2 ERP" || n.LastWorked == "" || !strings.Contains(n.Text, "is failing since") {
			t.Errorf("%+v", n)
		}
		kinds := map[string]string{}
		for _, d := range n.Differences {
			kinds[d.Kind] += d.Text
		}
		if !strings.Contains(kinds[Configuration], "Ada saved") || !strings.Contains(kinds[Configuration], "headers") ||
			!strings.Contains(kinds[Response], "500, where it was 200") || !strings.Contains(kinds[Response], "error string") {
			t.Errorf("what has changed: %v", kinds)
		}
		if got := r.report(id); len(got.Notices) != 2 || got.Notices[0].DeliveredAt.IsZero() || got.Notices[0].Recipient != "hooks.example.com" || got.Notices[0].Attempts != 1 {
			t.Errorf("%+v", got.Notices)
		}
	})
}

func TestAWrongPasswordIsNotTriedAllDay(t *testing.T) {
	inTime(t, func(t *testing.T, a *app, r *relay) {
		a.lost.Store(true)
		id := r.save(spec(nil))
		time.Sleep(4 * time.Hour) // after 5, 10, 20 and 40 minutes, and then each hour
		if n := a.signIns.Load(); n < 6 || n > 9 {
			t.Errorf("%d sign-ins in four hours", n)
		}
		if got := r.report(id); got.State != Failing || got.Day.OK != 0 || a.pings.Load() != 0 {
			t.Errorf("%+v, %d pings", got.State, a.pings.Load())
		}
		// Somebody mends it: that is looked at at once.
		a.lost.Store(false)
		_, _, err := r.registry.UpdateConnection(context.Background(), r.admin, id, 0, spec(nil), secretsOf(theSecrets))
		must(t, err)
		time.Sleep(15 * time.Second)
		if got := r.report(id); got.State != Online {
			t.Errorf("%+v", got)
		}
	})
}

func TestNothingIsSentWhileTheAgentIsAwayOrPausedOrHealthIsOff(t *testing.T) {
	inTime(t, func(t *testing.T, a *app, r *relay) {
		agent, err := r.registry.CreateAgent(context.Background(), r.admin, "Plant 2")
		must(t, err)
		id := r.save(spec(func(s *connection.Spec) { s.Mode, s.AgentID = connection.OnPremise, agent.ID }))
		quiet := r.save(spec(func(s *connection.Spec) { s.Health = &connection.Health{Off: true} }))
		nowhere := r.save(spec(func(s *connection.Spec) { s.Ping = connection.Ping{} }))
		time.Sleep(20 * time.Minute)
		if got := r.report(id); got.State != Offline || !strings.Contains(got.Message, "offline") {
			t.Errorf("%+v", got)
		}
		if a.pings.Load()+a.signIns.Load() > 0 {
			t.Errorf("%d pings, %d sign-ins", a.pings.Load(), a.signIns.Load())
		}
		if got := r.report(quiet); got.State != Unknown || !got.NextAt.IsZero() || len(got.Results) > 0 {
			t.Errorf("off: %+v", got)
		}
		if got := r.report(nowhere); got.State != Unknown || got.NextAt.IsZero() || len(got.Results) > 0 {
			t.Errorf("without a ping URI: %+v", got)
		}
		r.setMachines(hub.Instance{ID: "ins_1", Hostname: "gw-1", Version: "1.0.0", Paused: &proto.Paused{Since: time.Now(), Reason: "maintenance"}})
		time.Sleep(20 * time.Minute)
		if got := r.report(id); got.State != Offline || !strings.Contains(got.Message, "maintenance") || a.pings.Load() > 0 {
			t.Errorf("paused: %+v, %d pings", got, a.pings.Load())
		}
		r.setMachines(hub.Instance{ID: "ins_1", Hostname: "gw-1", Version: "1.0.0"})
		time.Sleep(10 * time.Minute)
		if got := r.report(id); got.State != Online {
			t.Errorf("back: %+v", got)
		}
		r.setMachines(hub.Instance{ID: "ins_1", Hostname: "gw-1", Version: "1.1.0"})
		a.broken.Store(true)
		time.Sleep(10 * time.Minute)
		notices := a.notices(t)
		if len(notices) != 3 || notices[0].Type != TypeOffline || notices[1].Type != TypeOnline || !strings.Contains(fmt.Sprint(notices[2].Differences), "from version 1.0.0 to 1.1.0") {
			t.Errorf("%+v", notices)
		}
	})
}

func TestANoticeIsTriedAgainAndGivenUp(t *testing.T) {
	inTime(t, func(t *testing.T, a *app, r *relay) {
		a.broken.Store(true)
		a.deaf.Store(true)
		id := r.save(spec(nil))
		time.Sleep(5 * time.Minute)
		if got := r.report(id).Notices; len(got) != 1 || got[0].Attempts != 3 || !strings.Contains(got[0].Failure, "503") || got[0].NextAt.IsZero() {
			t.Errorf("%+v", got)
		}
		time.Sleep(3 * time.Hour)
		got := r.report(id).Notices
		if len(got) != 1 || got[0].Attempts != len(pauses)+1 || !got[0].NextAt.IsZero() || !got[0].DeliveredAt.IsZero() {
			t.Errorf("%+v", got)
		}
		ids := map[string]bool{}
		for _, n := range a.notices(t) {
			ids[n.ID] = true
		}
		if len(a.posted()) != len(pauses)+1 || len(ids) != 1 {
			t.Errorf("%d posts of %d notices", len(a.posted()), len(ids))
		}
	})
}

func TestAConnectionThatFlapsIsToldOfInASummary(t *testing.T) {
	inTime(t, func(t *testing.T, a *app, r *relay) {
		r.save(spec(func(s *connection.Spec) { s.Health.EveryMinutes = 1 }))
		for i := range 24 {
			a.broken.Store(i%2 == 0)
			time.Sleep(90 * time.Second)
		}
		a.broken.Store(false)
		time.Sleep(70 * time.Minute)
		byType := map[string]int{}
		changes := 0
		for _, n := range a.notices(t) {
			byType[n.Type]++
			if n.Unsettled != nil {
				changes += n.Unsettled.Changes
			}
		}
		if byType[TypeUnsettled] == 0 || byType[TypeUnsettled] > 6 || changes < 10 {
			t.Errorf("told of %v, of %d changes in summaries", byType, changes)
		}
		if total := len(a.posted()); total > 3*noticesAnHour {
			t.Errorf("%d notices in an hour and a half", total)
		}
	})
}

func TestPingsAreSpreadAndBounded(t *testing.T) {
	inTime(t, func(t *testing.T, a *app, r *relay) {
		a.slow.Store(int64(300 * time.Millisecond))
		const connections = 25
		for range connections {
			r.save(spec(func(s *connection.Spec) { s.Health = nil }))
		}
		time.Sleep(time.Minute)
		if n := a.most.Load(); n > atOnce || n < 2 {
			t.Errorf("%d requests at once", n)
		}
		before := a.pings.Load()
		if before != connections {
			t.Errorf("%d pings of %d connections", before, connections)
		}
		time.Sleep(20 * time.Minute)
		if n := a.pings.Load() - before; n < 3*connections || n > 5*connections {
			t.Errorf("%d pings of %d connections in 20 minutes", n, connections)
		}
	})
}

func TestARelayThatStopsGivesBackWhatItHasNotPinged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &app{}
		a.slow.Store(int64(time.Hour))
		dsn, keyset := "sqlite:"+t.TempDir()+"/relay.db", t.TempDir()+"/keyset.json"
		r := start(t, a, dsn, keyset, time.Second)
		id := r.save(spec(nil))
		time.Sleep(time.Minute) // the sign-in waits
		a.slow.Store(0)
		r.stop()
		again := start(t, a, dsn, keyset, time.Second)
		defer again.stop()
		time.Sleep(20 * time.Second)
		if got := again.report(id); got.State != Online {
			t.Errorf("%+v", got)
		}
	})
}

// hanging is a Prober whose pings end with their time, and no sooner.
type hanging struct{}

func (hanging) Check(ctx context.Context, c *connection.Connection, _ string) probe.Check {
	<-ctx.Done()
	return probe.Check{Step: probe.StepPing, Code: proto.CodeTargetTimeout, Message: "The application's answer was not complete in the time that it had."}
}

// TestAPingThatNeverEndsIsAFailure, and not the end of the relay.
func TestAPingThatNeverEndsIsAFailure(t *testing.T) {
	inTime(t, func(t *testing.T, a *app, r *relay) {
		r.watch.Prober = hanging{}
		id := r.save(spec(nil))
		time.Sleep(2*checkFor + time.Minute)
		if got := r.report(id); got.State != Failing || len(got.Results) < confirmations || !strings.Contains(got.Message, "in the time") {
			t.Errorf("%+v", got)
		}
	})
}

func TestReportsStayWithinTheirWorkspace(t *testing.T) {
	inTime(t, func(t *testing.T, a *app, r *relay) {
		id := r.save(spec(nil))
		other, err := r.store.CreateWorkspace(context.Background(), "other", "Other")
		must(t, err)
		stranger := r.admin
		stranger.WorkspaceID = other.ID()
		for what, err := range map[string]error{
			"report": func() error { _, err := r.watch.Report(context.Background(), stranger, id, 1); return err }(),
			"test":   func() error { _, err := r.watch.SendTest(context.Background(), stranger, id); return err }(),
		} {
			if e := proto.AsError(err); e == nil || e.Code != proto.CodeNotFound {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}
