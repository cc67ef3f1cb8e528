package tunnel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"sallyport/agent/forward"
	"sallyport/agent/link"
	"sallyport/internal/outbound"
	"sallyport/internal/testkit"
	"sallyport/proto"
)

// How many requests the injector sends, and from which seed it draws; it names
// the seed of each lane that failed.
const (
	injectCount = "SALLYPORT_INJECT_COUNT"
	injectSeed  = "SALLYPORT_INJECT_SEED"
)

// lanes is how many relays, each with its agent and its bad network, the
// injector uses at once.
const lanes = 4

func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	value := os.Getenv(variable)
	if value == "" {
		return otherwise
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// TestEveryFailureTellsTheTruth cuts the tunnels at every stage of a request,
// at random bytes: what failed must say truly whether it may have arrived, and
// nothing that is not idempotent may arrive twice.
func TestEveryFailureTellsTheTruth(t *testing.T) {
	inject(t, number(t, injectCount, 2000), newLane, "POST: ok", "POST: tunnel_lost unknown", "POST: tunnel_lost sent", "GET: ok")
}

// TestEveryFailureBetweenRelaysTellsTheTruth: by way of another relay, the path to
// which is cut, or the tunnel.
func TestEveryFailureBetweenRelaysTellsTheTruth(t *testing.T) {
	inject(t, number(t, injectCount, 2000)/4, newPeerLane, "POST: ok", "POST: tunnel_lost unknown", "GET: ok")
}

// inject sends so many requests in lanes of their own. Some must have gone each of
// the needed ways, where they are many.
func inject(t *testing.T, count int, newLane func(t *testing.T, app *witness, number int, seed uint64) *lane, needed ...string) {
	t.Helper()
	seed := number(t, injectSeed, int(time.Now().UnixNano()%1e6))
	app := newWitness(t)
	told := make([]*lane, lanes)
	for i := range told {
		told[i] = newLane(t, app, i, uint64(seed))
	}
	var running sync.WaitGroup
	for _, l := range told {
		running.Go(func() { l.run(count / lanes) })
	}
	running.Wait()
	tally := map[string]int{}
	for _, l := range told {
		l.settle()
		for _, s := range l.sent {
			tally[s.kind+": "+s.result()]++
		}
		for _, complaint := range l.complaints(app.saw()) {
			t.Errorf("%s (%s=%d)", complaint, injectSeed, seed)
		}
	}
	lines := make([]string, 0, len(tally))
	for what, n := range tally {
		lines = append(lines, fmt.Sprintf("%6d  %s", n, what))
	}
	slices.Sort(lines)
	t.Logf("seed %d:\n%s", seed, strings.Join(lines, "\n"))
	for _, way := range needed {
		if tally[way] == 0 && count >= 500 {
			t.Errorf("no request went this way: %s", way)
		}
	}
}

// lane is one relay with one agent, and the requests that were sent there, or to
// another relay that sends them on.
type lane struct {
	t         *testing.T
	app       *witness
	relay     *relay
	asked     *relay               // where requests are sent
	cuts      []*testkit.Forwarder // what is cut, one at a time
	agent     *site
	forwarder *forward.Forwarder
	number    int
	rnd       *rand.Rand
	sent      []*shot
}

func newLane(t *testing.T, app *witness, number int, seed uint64) *lane {
	t.Helper()
	r := newRelayWith(t, false, func(r *relay) { r.log = zap.NewNop() }) // thousands of tunnels
	return laneOf(t, app, number, seed, r, r, r.net)
}

func newPeerLane(t *testing.T, app *witness, number int, seed uint64) *lane {
	t.Helper()
	var path *testkit.Forwarder
	a, b := newPair(t, func(a, b *relay) {
		for _, r := range []*relay{a, b} {
			if r != nil {
				r.log, r.peering.redial = zap.NewNop(), 10*time.Millisecond
			}
		}
		if a != nil {
			a.peering.between = through(t, &path)
		}
	})
	return laneOf(t, app, number, seed, a, b, path, path, a.net) // the first two of three times
}

func laneOf(t *testing.T, app *witness, number int, seed uint64, r, asked *relay, cuts ...*testkit.Forwarder) *lane {
	t.Helper()
	transport := outbound.New(outbound.Options{})
	t.Cleanup(transport.Close)
	l := &lane{
		t: t, app: app, relay: r, asked: asked, cuts: cuts, number: number, rnd: rand.New(rand.NewPCG(seed, uint64(number))),
		forwarder: forward.New(forward.Options{Transport: transport}),
	}
	l.agent = r.agent(r.dir.enrol("agt_1", "ins_1"), l.forwarder.Serve, func(o *link.Options) {
		o.Log = zap.NewNop()
		o.RetryFirst, o.RetryLimit = time.Millisecond, 5*time.Millisecond
	})
	return l
}

// shot is one request and what became of it.
type shot struct {
	id, kind, stage string
	method          string
	body, answer    int
	status          int   // 0: no answer came
	err             error // nil: the answer came whole
}

// kinds are the requests that are sent.
var kinds = []struct {
	name, method string
	body         func(*rand.Rand) int
	replayable   bool
}{
	{"GET", http.MethodGet, func(*rand.Rand) int { return 0 }, true},
	{"POST", http.MethodPost, func(r *rand.Rand) int { return r.IntN(600) }, true},
	{"long POST", http.MethodPost, func(r *rand.Rand) int { return 20_000 + r.IntN(200_000) }, false},
	{"PUT", http.MethodPut, func(r *rand.Rand) int { return r.IntN(40_000) }, true},
}

// About how many bytes a header takes, of a request and of an answer, and how
// many come before it: frames of the websocket and of yamux.
const (
	frames        = 40
	requestHeader = 160
	answerHeader  = 200
)

// stages are where a tunnel is cut: after how many bytes down or up.
var stages = []struct {
	name string
	cut  func(r *rand.Rand, s *shot) testkit.Cut
}{
	{"before the header", func(r *rand.Rand, s *shot) testkit.Cut { return testkit.Cut{After: int64(r.IntN(frames))} }},
	{"within the header", func(r *rand.Rand, s *shot) testkit.Cut {
		return testkit.Cut{After: int64(frames + r.IntN(requestHeader))}
	}},
	{"after the header, within the body", func(r *rand.Rand, s *shot) testkit.Cut {
		return testkit.Cut{After: int64(requestHeader + r.IntN(frames+s.body+1))}
	}},
	{"after the request", func(r *rand.Rand, s *shot) testkit.Cut {
		return testkit.Cut{After: int64(requestHeader + s.body + r.IntN(2*frames+s.body/1000))}
	}},
	{"before the answer", func(r *rand.Rand, s *shot) testkit.Cut {
		return testkit.Cut{Up: true, After: int64(r.IntN(3 * frames))}
	}},
	{"within the answer's header", func(r *rand.Rand, s *shot) testkit.Cut {
		return testkit.Cut{Up: true, After: int64(2*frames + r.IntN(answerHeader))}
	}},
	{"within the answer's body", func(r *rand.Rand, s *shot) testkit.Cut {
		return testkit.Cut{Up: true, After: int64(answerHeader + r.IntN(frames+s.answer+1))}
	}},
}

func (l *lane) run(count int) {
	for i := range count {
		kind := kinds[l.rnd.IntN(len(kinds))]
		s := &shot{
			id: fmt.Sprintf("%d-%d", l.number, i), kind: kind.name, method: kind.method,
			body: kind.body(l.rnd), answer: []int{0, 300, 3001, 120_000, 120_001}[l.rnd.IntN(5)],
		}
		l.sent = append(l.sent, s)
		if !l.awaitTunnel() {
			l.t.Error("no tunnel came up")
			return
		}
		l.fire(s, kind.replayable)
	}
}

// awaitTunnel waits until the agent holds a tunnel, mostly both, as far as both
// ends know.
func (l *lane) awaitTunnel() bool {
	enough := 1 + min(1, l.rnd.IntN(4))
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		in := l.relay.hub.Instances("agt_1")
		if l.asked != l.relay && l.asked.figure("sallyport_peers_connected") == 0 {
			continue
		}
		if len(in) > 0 && in[0].Tunnels >= enough && len(l.agent.link.Status().Tunnels) >= enough {
			return true
		}
	}
	return false
}

// fire sends one request into a network that is about to fail.
func (l *lane) fire(s *shot, replayable bool) {
	ctx, cancel := context.WithTimeout(l.t.Context(), 30*time.Second)
	defer cancel()
	var broken error
	fuse := -1 // of the caller's own body
	switch what := l.rnd.IntN(len(stages) + 3); {
	case what < len(stages):
		s.stage = stages[what].name
		both := l.rnd.IntN(2) == 0
		spared := l.rnd.IntN(2)
		n := 0
		l.cuts[l.rnd.IntN(len(l.cuts))].CutOpen(func() []testkit.Cut {
			if n++; !both && n-1 == spared {
				return nil
			}
			cut := stages[what].cut(l.rnd, s)
			cut.Reset = l.rnd.IntN(2) == 0
			return []testkit.Cut{cut}
		})
	case what == len(stages):
		s.stage = "none"
	case what == len(stages)+1:
		s.stage = "the caller goes away"
		time.AfterFunc(time.Duration(l.rnd.IntN(4000))*time.Microsecond, cancel)
	default:
		s.stage, broken = "the caller's body breaks off", errors.New("the caller broke off")
		fuse = l.rnd.IntN(s.body + 1)
		replayable = replayable && s.body == 0
	}
	var body io.Reader
	switch {
	case s.body > 0 && replayable:
		body = bytes.NewReader(make([]byte, s.body))
	case s.body > 0:
		body = io.NopCloser(&fused{left: s.body, fuse: fuse, err: broken})
	}
	req, err := http.NewRequestWithContext(ctx, s.method, l.app.path(s.id, s.body, s.answer), body)
	if err != nil {
		l.t.Error(err)
		return
	}
	if l.rnd.IntN(2) == 0 { // otherwise of unknown length: in chunks
		req.ContentLength = int64(s.body)
	}
	resp, err := l.asked.hub.Road("agt_1").RoundTrip(req)
	if err != nil {
		s.err = err
		return
	}
	s.status = resp.StatusCode
	raw, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if s.err = err; err == nil && !bytes.Equal(raw, bytes.Repeat([]byte{answerByte(s.id)}, s.answer)) {
		s.err = fmt.Errorf("%d bytes of another answer came as the whole", len(raw))
	}
}

// fused is a body that can be had only once, and may break off.
type fused struct {
	left, fuse int // fuse < 0: it lasts
	err        error
}

func (f *fused) Read(p []byte) (int, error) {
	if f.fuse == 0 {
		return 0, f.err
	}
	if f.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), f.left)
	if f.fuse > 0 {
		n = min(n, f.fuse)
		f.fuse -= n
	}
	clear(p[:n])
	f.left -= n
	return n, nil
}

// settle waits until nothing is under way, at either end.
func (l *lane) settle() {
	awaitIdle(l.t, l.relay)
	testkit.Eventually(l.t, patience, "the agent serves nothing", func() error {
		if n := l.forwarder.InFlight(); n > 0 {
			return fmt.Errorf("%d requests", n)
		}
		return nil
	})
}

// result is what a caller is told, in short.
func (s *shot) result() string {
	if s.err == nil {
		return "ok"
	}
	if e := proto.AsError(s.err); e != nil {
		return fmt.Sprintf("%s %s", e.Code, e.Outcome)
	}
	return "an error without an outcome"
}

// complaints is what was not as it was told.
func (l *lane) complaints(seen map[string]sight) []string {
	var all []string
	for _, s := range l.sent {
		for _, wrong := range s.wrong(seen[s.id]) {
			all = append(all, fmt.Sprintf("%s %s, cut %s, answered %d %s (%v): %s; %+v",
				s.kind, s.id, s.stage, s.status, s.result(), s.err, wrong, seen[s.id]))
		}
	}
	return all
}

func (s *shot) wrong(saw sight) []string {
	var all []string
	e := proto.AsError(s.err)
	safe := proto.Idempotent(s.method)
	check := func(broken bool, text string) {
		if broken {
			all = append(all, text)
		}
	}
	check(!safe && saw.begun > 1, "it arrived twice")
	check(saw.whole > saw.begun, "the witness is confused")
	switch {
	case s.err == nil:
		check(saw.whole == 0, "it never arrived whole")
	case e == nil:
		check(true, "the failure is no *proto.Error")
	default:
		check(e.Outcome == "", "the failure has no outcome")
		check(e.Outcome == proto.OutcomeNotSent && saw.begun > 0, "it did arrive")
		check(e.Outcome == proto.OutcomeSent && saw.begun == 0, "it never arrived")
		check(s.status != 0 && e.Outcome != proto.OutcomeSent, "it was answered")
		check(e.Code != proto.CodeTunnelLost && e.Code != proto.CodeAgentOffline && e.Code != proto.CodeCanceled, "another code was to be expected")
	}
	return all
}
