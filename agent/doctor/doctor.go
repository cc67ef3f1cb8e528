// Package doctor finds out what stands between this machine and its relay, and
// between it and the applications that requests are meant for. Each check is a
// Result: a name that programs may rely on, a status, one sentence, and where
// it did not pass, the remedy. Package agent/cli prints them.
//
// It goes the agent's own ways (packages agent/egress and internal/outbound),
// so that what it finds is what the agent meets. It needs no enrolment, signs
// in nowhere, and takes no tunnel from an agent that runs.
//
// The checks come in the order in which a connection is made. One that can't
// work because an earlier one failed is skipped, and says so: the first line
// that failed is the one to act on.
package doctor

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"time"

	"sallyport/agent/config"
	"sallyport/agent/egress"
	"sallyport/internal/buildinfo"
)

// Status is how a check ended.
type Status string

// How a check can end.
const (
	Pass Status = "pass"
	Warn Status = "warn" // works, but someone should know
	Fail Status = "fail" // the agent can't work like this
	Skip Status = "skip" // was not tried; the message says why
)

// Result is one check. Its JSON form is documented in docs/agent.md.
type Result struct {
	Name       string  `json:"name"`              // one of the Check names
	Subject    string  `json:"subject,omitempty"` // what was looked at: a host, an address, a URL
	Status     Status  `json:"status"`
	Message    string  `json:"message"`          // one sentence: what was found
	Remedy     string  `json:"remedy,omitempty"` // one sentence: what to do; on every warn and fail
	DurationMs float64 `json:"durationMs"`
	Facts      Facts   `json:"facts,omitempty"`
}

// Facts are what a check measured, for programs; each check lists its own in
// docs/agent.md. No secret ever is one.
type Facts map[string]any

// Names of the checks, in the order in which they run.
const (
	CheckConfiguration = "configuration" // agent.yaml, the relay's URL, the authorities file
	CheckEnrolment     = "enrolment"     // the identity in the data directory
	CheckAgent         = "agent"         // the agent that runs on this machine
	CheckProxy         = "proxy"         // which proxy is used, and who says so
	CheckDNS           = "dns"           // of the relay, and of the proxy
	CheckTCP4          = "tcp-ipv4"      // to the relay, or to the proxy
	CheckTCP6          = "tcp-ipv6"
	CheckTunnelling    = "proxy-connect" // the proxy's leave to reach the relay
	CheckTLS           = "tls"           // handshake and certificates
	CheckHTTP          = "http"          // a Sallyport relay answers
	CheckClock         = "clock"         // against the relay's
	CheckWebsocket     = "websocket"     // the upgrade that a tunnel begins with
	CheckRoundTrip     = "round-trip"    // over one kept connection
	CheckDownloads     = "downloads"     // the agent's next version, as scripts fetch it
	CheckIdle          = "idle"          // a websocket in silence; only where asked for
	CheckTarget        = "target"        // one application
)

// Options of an examination. Config is required, and Egress or ConfigErr.
type Options struct {
	Config     config.Config
	ConfigErr  error  // why the configuration can't be used; nothing else is looked at then
	ConfigFile string // that was read; "": none
	RelayFrom  string // who named Config.Relay, in words: "--relay"

	// Egress leads to the relay, as it leads the agent. It may be nil where
	// ConfigErr is not.
	Egress *egress.Egress
	// Targets are the applications to look at, through Transport, which is the
	// one that the agent performs requests with.
	Targets   []*url.URL
	Transport http.RoundTripper
	// Idle is how long a websocket is held in silence; 0: not at all.
	Idle time.Duration

	// Step bounds each step of a check. Default 10 s.
	Step time.Duration
	// Clock is this machine's, as it is compared with the relay's. Default time.Now.
	Clock func() time.Time
	// Observe is told of each result as it is found; nil: nobody is.
	Observe func(Result)
}

// Report is all that an examination found.
type Report struct {
	OK         bool      `json:"ok"` // no check failed
	Summary    Summary   `json:"summary"`
	Relay      string    `json:"relay"` // "": none is known
	Machine    Machine   `json:"machine"`
	StartedAt  time.Time `json:"startedAt"`
	DurationMs float64   `json:"durationMs"`
	Checks     []Result  `json:"checks"`
}

// Summary counts the checks by how they ended.
type Summary struct {
	Pass int `json:"pass"`
	Warn int `json:"warn"`
	Fail int `json:"fail"`
	Skip int `json:"skip"`
}

// examination is one run: what earlier checks found out for later ones.
type examination struct {
	Options
	report  Report
	stopped func() bool // nobody waits for more

	relay    *url.URL
	enrolled *config.Identity
	proxy    *url.URL // nil: straight
	// blocked is the name of the check that failed on the way to the relay;
	// what lies behind it can't be looked at.
	blocked string
	// doubtful: certificates failed by their dates, which is what a wrong clock
	// looks like.
	doubtful  bool
	addresses []netip.Addr // of who is dialled: the relay, or the proxy
	client    *relayClient
	dates     []dated // what the relay's clock said
}

// Run examines. It ends early with ctx, and then has less to say.
func Run(ctx context.Context, o Options) Report {
	if o.Step == 0 {
		o.Step = 10 * time.Second
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	started := time.Now()
	e := &examination{Options: o, stopped: func() bool { return ctx.Err() != nil }, report: Report{
		StartedAt: started.UTC().Truncate(time.Millisecond), Machine: ThisMachine(), Checks: []Result{},
	}}
	e.examine(ctx)
	e.client.close()
	e.report.DurationMs = ms(time.Since(started))
	e.report.OK = e.report.Summary.Fail == 0
	return e.report
}

func (e *examination) examine(ctx context.Context) {
	e.configuration()
	e.enrolment()
	e.agent(ctx)
	if e.relay != nil {
		e.report.Relay = e.relay.String()
	}
	e.chooseProxy()
	e.names(ctx)
	e.connect(ctx)
	e.tunnelling(ctx)
	e.handshake(ctx)
	e.answers(ctx)
	e.clock(ctx)
	e.websocket(ctx)
	e.roundTrip(ctx)
	e.downloads(ctx)
	e.silence(ctx)
	e.targets(ctx)
}

// check runs one check and keeps its result. look fills in all but the name
// and the time; a result that it leaves without a status has passed.
func (e *examination) check(name, subject string, look func(*Result)) Result {
	r := Result{Name: name, Subject: subject, Facts: Facts{}}
	started := time.Now()
	look(&r)
	r.DurationMs = ms(time.Since(started))
	return e.keep(r)
}

// onTheWay is a check of the way to the relay: it is skipped behind one that
// failed, and blocks those behind it where it fails itself.
func (e *examination) onTheWay(name, subject string, look func(*Result)) {
	if e.blocked != "" {
		e.skip(name, subject, "needs "+e.blocked+", which failed")
		return
	}
	if r := e.check(name, subject, look); r.Status == Fail {
		e.blocked = name
	}
}

func (e *examination) skip(name, subject, why string) {
	e.keep(Result{Name: name, Subject: subject, Status: Skip, Message: "Not tried: " + why + "."})
}

// keep counts a result and shows it, unless it came about because nobody waits
// any more.
func (e *examination) keep(r Result) Result {
	if e.stopped() {
		return r
	}
	count := &e.report.Summary.Pass
	switch r.Status {
	case "":
		r.Status = Pass
	case Warn:
		count = &e.report.Summary.Warn
	case Fail:
		count = &e.report.Summary.Fail
	case Skip:
		count = &e.report.Summary.Skip
	}
	*count++
	if r.Facts == nil {
		r.Facts = Facts{}
	}
	e.report.Checks = append(e.report.Checks, r)
	if e.Observe != nil {
		e.Observe(r)
	}
	return r
}

// pass, warn and fail settle a result.
func (r *Result) pass(message string) { r.Status, r.Message = Pass, message }

func (r *Result) warn(message, remedy string) { r.Status, r.Message, r.Remedy = Warn, message, remedy }

func (r *Result) fail(message, remedy string) { r.Status, r.Message, r.Remedy = Fail, message, remedy }

// ms is a duration in milliseconds, to a tenth of one.
func ms(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond).Microseconds()) / 1000
}

// Machine is where the examination ran.
type Machine struct {
	Hostname string `json:"hostname"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Version  string `json:"version"` // of the agent's program
	Commit   string `json:"commit"`
}

// ThisMachine is the machine that this runs on.
func ThisMachine() Machine {
	return Machine{Hostname: hostname(), OS: runtime.GOOS, Arch: runtime.GOARCH, Version: buildinfo.Version(), Commit: buildinfo.Commit()}
}
