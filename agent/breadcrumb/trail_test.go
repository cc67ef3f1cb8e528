package breadcrumb

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sallyport/agent/egress"
	"sallyport/agent/link"
	"sallyport/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// machine has a clock, and is started and put to sleep by the test.
type machine struct {
	t     *testing.T
	dir   string
	now   time.Time
	awake time.Duration
	boot  Boot
}

func newMachine(t *testing.T) *machine {
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	return &machine{t: t, dir: t.TempDir(), now: at, boot: Boot{ID: "boot-1", At: at}}
}

// start begins a run of the agent.
func (m *machine) start() *Trail {
	m.t.Helper()
	trail, err := Open(Options{Dir: m.dir, Log: zap.NewNop(), Clock: func() time.Time { return m.now },
		Awake: func() time.Duration { return m.awake }, Boot: func() Boot { return m.boot }})
	if err != nil {
		m.t.Fatal(err)
	}
	m.alive()
	return trail
}

// alive touches the file, as a run does once a minute.
func (m *machine) alive() {
	m.t.Helper()
	if err := (file{m.dir}).touch(m.now); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) pass(d time.Duration)  { m.now, m.awake = m.now.Add(d), m.awake+d }
func (m *machine) sleep(d time.Duration) { m.now = m.now.Add(d) }
func (m *machine) reboot(d time.Duration) {
	m.now = m.now.Add(d)
	m.boot = Boot{ID: "boot-2", At: m.now}
}

// want checks the one report, and that it took so long.
func (m *machine) want(trail *Trail, cause proto.OfflineCause, lasted time.Duration, detail string) {
	m.t.Helper()
	reports := trail.Reports()
	if len(reports) != 1 {
		m.t.Fatalf("%d reports: %+v", len(reports), reports)
	}
	r := reports[0]
	if r.Cause != cause || r.To.Sub(r.From) != lasted || !strings.Contains(r.Detail, detail) || !r.To.Equal(m.now) {
		m.t.Errorf("got %+v, over %v; want %s for %v, with %q", r, r.To.Sub(r.From), cause, lasted, detail)
	}
	if _, err := proto.EncodeControl(&r); err != nil {
		m.t.Errorf("it can't travel: %v", err)
	}
	trail.Noted(r.ID)
	if left := trail.Reports(); len(left) != 0 {
		m.t.Errorf("it is not forgotten: %+v", left)
	}
}

var (
	errProxy  = &egress.DialError{Fault: egress.FaultProxyAuth, Text: "the proxy wants a login (407)"}
	errBroken = errors.New("read: connection reset by peer")
)

func TestNextRunTellsHowTheLastOneEnded(t *testing.T) {
	for name, c := range map[string]struct {
		ends   func(m *machine, t *Trail)
		cause  proto.OfflineCause
		lasted time.Duration
		detail string
	}{
		"killed":  {func(m *machine, _ *Trail) { m.alive(); m.pass(5 * time.Minute) }, proto.CauseCrashed, 5 * time.Minute, "killed"},
		"stopped": {func(m *machine, t *Trail) { t.End(errors.New("terminated signal received")); m.pass(time.Hour) }, proto.CauseStopped, time.Hour, "terminated signal"},
		"stopped by a command": {func(m *machine, t *Trail) {
			t.Announce("sallyport-agent stop")
			t.End(errors.New("terminated signal received"))
			m.pass(time.Hour)
		}, proto.CauseStopped, time.Hour, "sallyport-agent stop (terminated signal received)"},
		"stopped, and restarted days later": {func(m *machine, t *Trail) { t.End(nil); m.reboot(48 * time.Hour) }, proto.CauseStopped, 48 * time.Hour, "told to"},
		"restarted machine":                 {func(m *machine, t *Trail) { t.End(nil); m.reboot(time.Minute) }, proto.CauseRebooted, time.Minute, "in order"},
		"loss of power":                     {func(m *machine, _ *Trail) { m.alive(); m.reboot(10 * time.Minute) }, proto.CauseRebooted, 10 * time.Minute, "loss of power"},
		"offline when it was killed": {func(m *machine, t *Trail) {
			m.pass(time.Minute)
			t.Offline(errProxy)
			m.pass(time.Hour)
		}, proto.CauseProxyAuth, time.Hour, "407"},
		"clock set back meanwhile": {func(m *machine, t *Trail) { t.End(nil); m.now = m.now.Add(-time.Hour) }, proto.CauseStopped, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			first := m.start()
			first.Online()
			m.pass(time.Minute)
			c.ends(m, first)
			second := m.start()
			if r := second.Reports(); len(r) != 0 {
				t.Errorf("reported before it is over: %+v", r)
			}
			second.Offline(errBroken) // what the first attempts meet is not why
			second.Online()
			m.want(second, c.cause, c.lasted, c.detail)
		})
	}
}

func TestWhyThereWasNoTunnelWhileItRan(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(m *machine, t *Trail)
		cause   proto.OfflineCause
		lasted  time.Duration
	}{
		"a tunnel broke, and the next one worked": {func(m *machine, t *Trail) { t.Offline(errBroken); m.pass(time.Second) }, proto.CauseConnectionLost, time.Second},
		"the first attempt tells more": {func(m *machine, t *Trail) {
			t.Offline(errBroken)
			m.pass(time.Second)
			t.Offline(errProxy)
			m.pass(time.Second)
			t.Offline(&egress.DialError{Fault: egress.FaultBusy, Text: "503"})
			m.pass(time.Second)
		}, proto.CauseProxyAuth, 3 * time.Second},
		"the machine slept": {func(m *machine, t *Trail) {
			m.sleep(8 * time.Hour)
			m.pass(5 * time.Second)
			t.Offline(errBroken)
			m.pass(time.Second)
		}, proto.CauseSlept, 8*time.Hour + 6*time.Second},
		"it slept an hour ago": {func(m *machine, t *Trail) {
			m.sleep(time.Hour)
			t.Online()
			m.pass(time.Hour)
			t.Offline(errBroken)
			m.pass(time.Second)
		}, proto.CauseConnectionLost, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			trail := m.start()
			trail.Offline(errProxy) // it has never been online: no news
			trail.Online()
			if r := trail.Reports(); len(r) != 0 {
				t.Errorf("reported: %+v", r)
			}
			c.happens(m, trail)
			trail.Online()
			m.want(trail, c.cause, c.lasted, "")
			trail.Online()
			if r := trail.Reports(); len(r) != 0 {
				t.Errorf("reported: %+v", r)
			}
		})
	}
}

func TestReportsOutliveARunUntilTheyAreNoted(t *testing.T) {
	m := newMachine(t)
	trail := m.start()
	trail.Online()
	for range mostReports + 5 {
		trail.Offline(errBroken)
		m.pass(time.Second)
		trail.Online()
	}
	trail.End(nil)
	trail.Online() // too late
	again := m.start().Reports()
	if len(again) != mostReports || again[0].ID == "" || again[0].ID == again[1].ID {
		t.Errorf("%d reports", len(again))
	}
}

func TestDamagedTrailIsNone(t *testing.T) {
	m := newMachine(t)
	for _, text := range []string{"", "{", "[]"} {
		if err := os.WriteFile(filepath.Join(m.dir, File), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		trail := m.start()
		trail.Online()
		if r := trail.Reports(); len(r) != 0 {
			t.Errorf("%q: reported %+v", text, r)
		}
	}
}

func TestTrailSaysNowAndThenThatTheAgentLives(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		trail, err := Open(Options{Dir: dir, Log: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); trail.Run(ctx) }()
		time.Sleep(10*aliveEvery + time.Second)
		synctest.Wait()
		cancel()
		<-done
		if _, alive := (file{dir}).read(); time.Since(alive) > 2*aliveEvery {
			t.Errorf("it was last alive %v ago", time.Since(alive))
		}
	})
}

func TestCauses(t *testing.T) {
	notFound := &net.DNSError{Err: "no such host", Name: "relay.test", IsNotFound: true}
	dial := func(err error) error { return egress.Explain("relay.test:443", err) }
	for _, c := range []struct {
		err    error
		want   proto.OfflineCause
		detail string
	}{
		{nil, proto.CauseConnectionLost, ""},
		{errBroken, proto.CauseConnectionLost, "reset by peer"},
		{dial(syscall.ECONNREFUSED), proto.CauseUnreachable, "refused the connection"},
		{dial(context.DeadlineExceeded), proto.CauseUnreachable, "did not answer in time"},
		{dial(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}), proto.CauseNoNetwork, "can't be reached"},
		{errProxy, proto.CauseProxyAuth, "407"},
		{&egress.DialError{Fault: egress.FaultTLS, Text: "no trust\n\x00 in it" + strings.Repeat("x", 1000)}, proto.CauseCertificate, "no trust in it"},
		{&egress.DialError{Fault: egress.FaultPortal}, proto.CauseNotRelay, ""},
		{&proto.Refused{Code: proto.RefusedUnknown, Text: "Enrol it again."}, proto.CauseRefused, "Enrol it again."},
		{&link.SupersededError{By: "erp2 at 192.0.2.7:4711"}, proto.CauseSuperseded, "on erp2 at 192.0.2.7:4711"},
	} {
		cause, detail := CauseOf(c.err)
		if cause != c.want || !strings.Contains(detail, c.detail) || len(detail) > proto.MaxOfflineDetail {
			t.Errorf("%v: %s, %.60q", c.err, cause, detail)
		}
	}
	if cause, _ := CauseOf(dial(notFound)); connected() && cause != proto.CauseDNS || !connected() && cause != proto.CauseNoNetwork {
		t.Errorf("no such host: %s", cause)
	}
}

func TestStartsOfTheMachineAreToldApart(t *testing.T) {
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		a, b Boot
		same bool
	}{
		{Boot{ID: "a", At: at}, Boot{ID: "a", At: at.Add(time.Hour)}, true}, // the clock was set
		{Boot{ID: "a", At: at}, Boot{ID: "b", At: at}, false},
		{Boot{At: at}, Boot{ID: "b", At: at.Add(time.Second)}, true},
		{Boot{At: at}, Boot{At: at.Add(time.Hour)}, false},
		{Boot{}, Boot{At: at}, true},
	} {
		if c.a.same(c.b) != c.same {
			t.Errorf("%+v, %+v: want %v", c.a, c.b, c.same)
		}
	}
	if b := thisBoot(); !b.same(thisBoot()) || b.ID == "" && b.At.IsZero() {
		t.Errorf("this machine's start is %+v", b)
	}
}
