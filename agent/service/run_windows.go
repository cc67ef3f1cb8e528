package service

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
)

// Event ids. The event source is EventCreate.exe's, which knows 1 to 1000.
const (
	eventStarted = 1
	eventStopped = 2
	eventFailed  = 3
)

// failedCode is the service's own exit code after an error. The recovery
// actions are taken for it, since they are set for non-crash failures too.
const failedCode = 1

// Run does the agent's work as the service manager expects it to be done: when
// the service control manager has started this process, it is told at once that
// the service runs, and a stop or a shutdown of the machine ends the context of
// the work. From a console, it is a process like any other.
func Run(ctx context.Context, work func(context.Context) error) error {
	h := &handler{ctx: ctx, work: work}
	// The name is not looked at for a process that is one service only. That
	// nobody waits for a service here is found out at once, and more surely than
	// by looking at who the parent is.
	if err := svc.Run("", h); !errors.Is(err, windows.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
		return errors.Join(err, h.err)
	}
	return work(ctx)
}

// Why the work's context ends.
var (
	errStopped  = errors.New("stopped by the service manager")
	errShutdown = errors.New("the machine is shut down")
)

type handler struct {
	ctx  context.Context
	work func(context.Context) error
	err  error // how the work ended
}

// Execute implements svc.Handler. args[0] is the service's name.
func (h *handler) Execute(args []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (own bool, code uint32) {
	ctx, cancel := context.WithCancelCause(h.ctx)
	defer cancel(nil)
	if len(args) > 0 {
		ctx = withName(ctx, args[0])
	}
	events := openEvents(args)
	defer events.close()
	ended := make(chan error, 1)
	go func() { ended <- h.work(ctx) }()
	const accepts = svc.AcceptStop | svc.AcceptShutdown | svc.AcceptPreShutdown
	status <- svc.Status{State: svc.Running, Accepts: accepts}
	events.info(eventStarted, "The agent has started.")

	stopping := svc.Status{State: svc.StopPending, WaitHint: uint32(stopWait / time.Millisecond)}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case h.err = <-ended:
			if h.err != nil && ctx.Err() == nil {
				events.error(eventFailed, "The agent ended: "+h.err.Error())
				return true, failedCode
			}
			events.info(eventStopped, "The agent has stopped.")
			h.err = nil
			return false, 0
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				status <- r.CurrentStatus
			case svc.Stop:
				cancel(errStopped)
				status <- stopping
			case svc.Shutdown, svc.PreShutdown:
				cancel(errShutdown)
				status <- stopping
			}
		case <-tick.C:
			if ctx.Err() != nil { // it is still at it, and says so
				stopping.CheckPoint++
				status <- stopping
			}
		}
	}
}

// events is the event log, or nil where it can't be opened.
type events struct{ log *eventlog.Log }

func openEvents(args []string) events {
	if len(args) == 0 {
		return events{}
	}
	log, err := eventlog.Open(args[0])
	if err != nil {
		return events{}
	}
	return events{log}
}

func (e events) info(id uint32, text string) {
	if e.log != nil {
		_ = e.log.Info(id, text) // there is nowhere else to tell
	}
}

func (e events) error(id uint32, text string) {
	if e.log != nil {
		_ = e.log.Error(id, text)
	}
}

func (e events) close() {
	if e.log != nil {
		_ = e.log.Close()
	}
}

// withName notes under which name the manager knows the service whose work ctx
// is.
func withName(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, nameKey{}, name)
}
