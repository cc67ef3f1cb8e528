package cli

import (
	"cmp"
	"context"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sallyport/agent/breadcrumb"
	"sallyport/agent/config"
	"sallyport/agent/control"
	"sallyport/agent/ledger"
	"sallyport/agent/link"
	"sallyport/agent/logs"
	"sallyport/agent/pause"
	"sallyport/agent/redact"
	"sallyport/agent/service"
	"sallyport/agent/vitals"
	"sallyport/proto"
)

// recordFlags are the options of agent.yaml about what the agent writes down.
var recordFlags = []string{"log-file", "log-max-size", "log-max-files", "log-max-age", "remote-logs", "ledger-max-size", "ledger-max-files", "ledger-max-age", "status-listen"}

// openLogs opens the log where the configuration wants it.
func openLogs(ctx context.Context, c config.Config, w World) (*logs.Logs, error) {
	unkept := service.Unkept(ctx)
	path, err := c.LogPath(unkept)
	if err != nil {
		return nil, err
	}
	limits, err := c.LogLimits()
	if err != nil {
		return nil, err
	}
	var out io.Writer = w.Err
	if unkept {
		out = nil
	}
	return logs.Open(logs.Options{
		Level: c.LogLevel, Format: c.LogFormat, Err: out, Path: path, Limits: limits,
		Service: service.Named(ctx), Remote: c.RemoteLogs, Scrub: redact.New(c, w.Env).Scrub,
	})
}

// records are what the agent writes down, and the switch that the site has.
type records struct {
	logs   *logs.Logs
	ledger *ledger.Ledger
	pause  *pause.Switch
	trail  *breadcrumb.Trail
	tally  tally
	work   sync.WaitGroup // what the relay's words have begun
	// figures count for statusListen; nil: nobody asks.
	figures *vitals.Figures
}

func openRecords(c config.Config, lines *logs.Logs) (*records, error) {
	limits, err := c.LedgerLimits()
	if err != nil {
		return nil, err
	}
	r := &records{logs: lines}
	if r.pause, err = pause.Open(c.DataDir); err != nil {
		return nil, err
	}
	r.ledger, err = ledger.Open(ledger.Options{Path: filepath.Join(c.DataDir, ledger.File), Limits: limits, Noted: r.note})
	if err != nil {
		r.pause.Close()
		return nil, err
	}
	if r.trail, err = breadcrumb.Open(breadcrumb.Options{Dir: c.DataDir, Log: lines.Logger().Named("trail")}); err != nil {
		r.close()
		return nil, err
	}
	if p := r.pause.Paused(); !p.Since.IsZero() {
		lines.Logger().Warn("the agent is paused", pauseFields(p)...)
	}
	return r, nil
}

// close writes what is left.
func (r *records) close() {
	r.work.Wait()
	r.pause.Close()
	if err := r.ledger.Close(); err != nil {
		r.logs.Logger().Error("the end of the ledger is lost", zap.Error(err))
	}
}

// leaveTrail says now and then that the agent lives, and why it ends, until the
// function that it returns is called.
func (r *records) leaveTrail(ctx context.Context) (stop func()) {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.trail.Run(running)
	}()
	ending := context.AfterFunc(ctx, func() { r.trail.End(context.Cause(ctx)) })
	return func() {
		ending()
		cancel()
		<-done
		r.trail.End(context.Cause(ctx))
	}
}

// linkChanged notes whether the relay is reached.
func (a *agent) linkChanged(err error) {
	if err == nil {
		a.trail.Online()
	} else {
		a.trail.Offline(err)
	}
}

// hear takes in what the relay says.
func (a *agent) hear(m proto.Control, from link.Peer) {
	switch m := m.(type) {
	case *proto.OfflineNoted:
		a.work.Go(func() { a.trail.Noted(m.ID) }) // it writes
	case *proto.FollowLogs:
		if m.Level != "" {
			a.log.Info("the relay asks for the log", zap.String("least", m.Level), zap.Bool("allowed", a.logs.Remote()))
		}
		a.logs.Tail().Follow(m.Level, from)
	}
}

// tally counts requests by what became of them.
type tally struct{ total, failed, denied, paused atomic.Int64 }

func (r *records) note(e ledger.Entry) {
	r.tally.note(e)
	if r.figures != nil {
		r.figures.Note(e)
	}
}

func (t *tally) note(e ledger.Entry) {
	t.total.Add(1)
	switch {
	case e.Decision == ledger.Denied:
		t.denied.Add(1)
	case e.Decision == ledger.Paused:
		t.paused.Add(1)
	case e.Code != "":
		t.failed.Add(1)
	}
}

// tell adds to a status what the records know.
func (r *records) tell(s *control.Status) {
	if p := r.pause.Paused(); !p.Since.IsZero() {
		s.Paused = &p
	}
	s.Requests = &control.Requests{Total: r.tally.total.Load(), Failed: r.tally.failed.Load(), Denied: r.tally.denied.Load(), Paused: r.tally.paused.Load()}
	s.LogLevel = r.logs.Level().Level
	s.LostEntries, s.LostLines = r.ledger.Lost(), r.logs.Lost()
}

// serveVitals opens the address at which other programs of this machine ask how
// the agent is. What it returns closes it; where none is wanted, nothing.
func (a *agent) serveVitals(c config.Config) (closeIt func(), err error) {
	address, err := c.StatusAddress()
	if err != nil || address == "" {
		return func() {}, err
	}
	a.figures = vitals.NewFigures(a.status)
	server, err := vitals.Serve(address, a.status, a.figures)
	if err != nil {
		return func() {}, err
	}
	a.log.Info("status is served", zap.Stringer("address", server.Addr()))
	return server.Close, nil
}

// actions are what the agent's other commands have the running agent do.
func (a *agent) actions() []control.Action {
	return []control.Action{
		control.On("/pause", func(_ context.Context, in pauseAsked) (proto.Paused, error) {
			return a.pause.Pause(in.Reason, time.Duration(in.LastsMs)*time.Millisecond)
		}),
		control.On("/leaving", func(_ context.Context, in leavingAsked) (struct{}, error) {
			a.trail.Announce(in.By)
			return struct{}{}, nil
		}),
		control.On("/resume", func(context.Context, struct{}) (proto.Paused, error) { return a.pause.Resume() }),
		control.On("/log-level", func(_ context.Context, in levelAsked) (logs.Level, error) {
			if in.Level == "" {
				return a.logs.Level(), nil
			}
			level, err := a.logs.SetLevel(in.Level, time.Duration(in.LastsMs)*time.Millisecond)
			if err == nil {
				fields := []zap.Field{zap.String("to", level.Level)}
				if !level.Until.IsZero() {
					fields = append(fields, zap.Time("until", level.Until))
				}
				a.log.Info("log level changed", fields...)
			}
			return level, err
		}),
	}
}

// pauseAsked is what /pause is sent.
type pauseAsked struct {
	Reason  string `json:"reason"`
	LastsMs int64  `json:"lastsMs"` // 0: until somebody resumes
}

// leavingAsked is what /leaving is sent by a command that is about to have the
// service manager end the agent.
type leavingAsked struct {
	By string `json:"by"` // the command
}

// levelAsked is what /log-level is sent.
type levelAsked struct {
	Level   string `json:"level"`   // "": none is changed
	LastsMs int64  `json:"lastsMs"` // 0: until the agent is restarted
}

// paused tells the relay and the log that the switch was turned.
func (a *agent) paused(p proto.Paused) {
	a.link.Tell(&p)
	if p.Since.IsZero() {
		a.log.Warn("the agent was resumed")
		return
	}
	a.log.Warn("the agent was paused", pauseFields(p)...)
}

func pauseFields(p proto.Paused) []zap.Field {
	fields := []zap.Field{zap.Time("since", p.Since), zap.String("reason", cmp.Or(p.Reason, "none given"))}
	if !p.Until.IsZero() {
		fields = append(fields, zap.Time("until", p.Until))
	}
	return fields
}
