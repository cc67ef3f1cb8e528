package logs

import (
	"sync"
	"time"

	"go.uber.org/zap/zapcore"

	"sallyport/internal/logging"
)

// level is what standard error and the file log. It can be set for a while, and
// goes back by itself.
type level struct {
	err, file *logging.Dial // nil: there is no such output

	mu         sync.Mutex // guards the following
	configured zapcore.Level
	now        zapcore.Level
	until      time.Time
	timer      *time.Timer
}

func newLevel(configured zapcore.Level) *level {
	return &level{configured: configured, now: configured}
}

func (v *level) read() Level {
	v.mu.Lock()
	defer v.mu.Unlock()
	return Level{Level: v.now.String(), Configured: v.configured.String(), Until: v.until}
}

// configure takes a level, and a format of standard error, from agent.yaml.
func (v *level) configure(configured zapcore.Level, format string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err != nil {
		if err := v.err.Set(v.now.String(), format); err != nil {
			return err
		}
	}
	if configured != v.configured {
		v.configured = configured
		if v.timer == nil {
			v.apply(configured)
		}
	}
	return nil
}

// apply puts a level into use; mu is held.
func (v *level) apply(now zapcore.Level) {
	v.now = now
	for _, dial := range []*logging.Dial{v.err, v.file} {
		if dial != nil {
			dial.SetLevel(now)
		}
	}
}

func (v *level) set(now zapcore.Level, lasts time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stop()
	v.apply(now)
	if lasts == 0 {
		return
	}
	v.until = time.Now().Add(lasts).UTC().Truncate(time.Second)
	var timer *time.Timer
	timer = time.AfterFunc(lasts, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.timer == timer { // not stopped meanwhile
			v.stop()
			v.apply(v.configured)
		}
	})
	v.timer = timer
}

// stop ends the wait; mu is held.
func (v *level) stop() {
	if v.timer != nil {
		v.timer.Stop()
	}
	v.timer, v.until = nil, time.Time{}
}

func (v *level) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stop()
}
