package egress

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// lockoutWaits are how long a login that was refused is not tried again, by how
// often it was. Directories lock an account after a handful of wrong passwords;
// two tunnels that dial every minute would see to that within one.
var lockoutWaits = []time.Duration{15 * time.Second, time.Minute, 4 * time.Minute, 15 * time.Minute}

// refusedLogin is what was refused: other credentials, or another proxy, are
// tried at once.
type refusedLogin struct {
	proxy string
	who   account
}

// lockout remembers the login that was refused last. Its zero value remembers
// none.
type lockout struct {
	clock func() time.Time // nil: time.Now

	mu    sync.Mutex // guards the following
	login refusedLogin
	count int
	until time.Time
	why   DialError
}

// check returns why the login is not to be tried yet, or nil.
func (l *lockout) check(login refusedLogin) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := l.until.Sub(l.now())
	if l.count == 0 || login != l.login || left <= 0 {
		return nil
	}
	again := l.why
	again.RetryAfter = left
	again.Remedy += fmt.Sprintf("; it is tried again in %s, or at once with other credentials, so that the account is not locked", left.Round(time.Second))
	return &again
}

// note keeps how an attempt with the login went.
func (l *lockout) note(login refusedLogin, err error) {
	var dial *DialError
	refused := errors.As(err, &dial) && dial.Fault == FaultProxyAuth && dial.Scheme != ""
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case refused && login == l.login && l.now().Before(l.until):
		// Another tunnel's attempt, begun before the wait.
	case refused:
		if login != l.login {
			l.login, l.count = login, 0
		}
		l.why = *dial
		l.until = l.now().Add(lockoutWaits[min(l.count, len(lockoutWaits)-1)])
		l.count++
	case err == nil && login == l.login:
		l.count = 0
	}
}

func (l *lockout) now() time.Time {
	if l.clock == nil {
		return time.Now()
	}
	return l.clock()
}
