package testkit

import (
	"fmt"
	"net"
	"testing"
	"time"
)

// App is a real application, as Debian ships it, that a test started on this
// machine or inside a site. It ends with the test.
type App struct {
	Port     int // of the loopback; inside a site, of all its addresses
	User     string
	Password string // of that user; it has what breaks what is carelessly filled in

	t       testing.TB
	start   func() *Process
	process *Process
	forget  func(t testing.TB)
}

// run starts it, and waits until it listens. Its process lives as long as the test
// that made it, also where a subtest starts it again.
func (a *App) run(t testing.TB, o ProcessOptions) *App {
	t.Helper()
	a.t = t
	a.start = func() *Process {
		p := Start(a.t, o)
		Eventually(a.t, 90*time.Second, o.Name+" listens", func() error {
			select {
			case <-p.Done():
				a.t.Fatalf("%s has ended: %v\n%s", o.Name, p.Err(), p.Log())
			default:
			}
			return DialIn(o.Site, fmt.Sprintf("127.0.0.1:%d", a.Port))
		})
		return p
	}
	a.Start()
	return a
}

// DialIn reports whether a connection can be made within a site, or on this
// machine where it is nil.
func DialIn(site *Site, address string) error {
	if site != nil {
		return site.Dial(address)
	}
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}

// Stop ends the application, which Start starts again with what it has on file.
func (a *App) Stop(t testing.TB) {
	t.Helper()
	a.process.MustStop(t)
}

// Start starts the application after a Stop.
func (a *App) Start() { a.process = a.start() }

// Forget has the application forget who is signed in: many do by a restart.
func (a *App) Forget(t testing.TB) {
	t.Helper()
	if a.forget != nil {
		a.forget(t)
		return
	}
	a.Stop(t)
	a.Start()
}
