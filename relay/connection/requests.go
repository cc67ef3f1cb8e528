package connection

import "time"

// Requests says how requests are sent through a connection: how long they may
// take, what is tried again, and how many may be under way. It is about the
// requests of callers; sign-in and ping have limits of their own. The zero
// value leaves everything to the application and the caller.
type Requests struct {
	Timeouts Timeouts `json:"timeouts,omitzero" doc:"How long each stage of a request may take. A limit that is left out does not apply."`
	Retry    Retry    `json:"retry,omitzero" doc:"What is tried again by itself. Left out: nothing is."`
	Limits   Limits   `json:"limits,omitzero" doc:"How many requests may be under way. Left out: as many as come."`
}

// Timeouts are in milliseconds; 0: none of our own.
type Timeouts struct {
	ConnectMs   int64 `json:"connectMs,omitempty" doc:"To connect to the application, its name looked up and TLS included, in milliseconds; at most 120000. Left out: 10 s to connect and 10 s for TLS."`
	FirstByteMs int64 `json:"firstByteMs,omitempty" doc:"From the end of the request to the first byte of the answer, in milliseconds."`
	IdleMs      int64 `json:"idleMs,omitempty" doc:"How long neither a byte of the request's body nor one of the answer's may come, in milliseconds. Event streams need it to be longer than their pauses."`
	TotalMs     int64 `json:"totalMs,omitempty" doc:"For all of it, from the first byte of the request to the last of the answer, tries and waiting included, in milliseconds. Not for event streams."`
}

// Limits of Timeouts, in milliseconds.
const (
	MaxConnectMs = 2 * 60 * 1000
	MaxTimeoutMs = 24 * 60 * 60 * 1000
)

// Total is the limit of the whole request; 0: none.
func (t Timeouts) Total() time.Duration { return milliseconds(t.TotalMs) }

// Retry says what is tried again; zero fields stand for the defaults below.
type Retry struct {
	Attempts     int   `json:"attempts,omitempty" doc:"How many tries a request has, the first included; 1 (the default) to 10."`
	BackoffMs    int64 `json:"backoffMs,omitempty" doc:"The longest wait before the second try, in milliseconds; it doubles with each further one. The wait is a random part of it. Default 500."`
	MaxBackoffMs int64 `json:"maxBackoffMs,omitempty" doc:"The longest wait before any try, in milliseconds, also one that the application asks for by Retry-After: where it asks for more, its answer is passed on. Default 30000."`
}

// Defaults and limits of Retry.
const (
	MaxAttempts         = 10
	MaxBackoffMs        = 10 * 60 * 1000
	defaultBackoffMs    = 500
	defaultMaxBackoffMs = 30 * 1000
)

// Any reports whether anything is tried again.
func (r Retry) Any() bool { return r.Attempts > 1 }

// Backoff is the longest wait before the second try.
func (r Retry) Backoff() time.Duration {
	if r.BackoffMs == 0 {
		return min(milliseconds(defaultBackoffMs), r.MaxBackoff())
	}
	return milliseconds(r.BackoffMs)
}

// MaxBackoff is the longest wait before any try.
func (r Retry) MaxBackoff() time.Duration {
	if r.MaxBackoffMs == 0 {
		return milliseconds(max(defaultMaxBackoffMs, r.BackoffMs))
	}
	return milliseconds(r.MaxBackoffMs)
}

// Limits bound what an application gets at once, from each relay; zero fields
// stand for no limit, and for the defaults below.
type Limits struct {
	Concurrent int     `json:"concurrent,omitempty" doc:"How many requests may be under way at once, until the end of their answers."`
	PerSecond  float64 `json:"perSecond,omitempty" doc:"How many requests may begin in a second, tries included; 0.5 is one in two seconds."`
	Burst      int     `json:"burst,omitempty" doc:"How many of them may begin at once after a pause. Default 1: evenly spaced."`
	Queue      int     `json:"queue,omitempty" doc:"How many requests may wait for their turn; one more is answered 429. Default 100."`
	QueueMs    int64   `json:"queueMs,omitempty" doc:"How long a request may wait for its turn, in milliseconds, before it is answered 429. Default 30000."`
}

// Defaults and limits of Limits.
const (
	MaxConcurrent  = 100_000
	MaxPerSecond   = 100_000
	MinPerSecond   = 0.001 // about four in an hour
	MaxQueue       = 10_000
	defaultQueue   = 100
	defaultQueueMs = 30 * 1000
)

// Any reports whether there is a limit.
func (l Limits) Any() bool { return l.Concurrent > 0 || l.PerSecond > 0 }

// Waiting is how many requests may wait.
func (l Limits) Waiting() int {
	if l.Queue == 0 {
		return defaultQueue
	}
	return l.Queue
}

// Patience is how long a request may wait.
func (l Limits) Patience() time.Duration {
	if l.QueueMs == 0 {
		return milliseconds(defaultQueueMs)
	}
	return milliseconds(l.QueueMs)
}

func milliseconds(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

func checkRequests(f *faults, r Requests) {
	checkTimeouts(f, r.Timeouts)
	checkRetry(f, r.Retry)
	checkLimits(f, r.Limits)
}

func checkTimeouts(f *faults, t Timeouts) {
	within(f, "requests.timeouts.connectMs", t.ConnectMs, MaxConnectMs)
	within(f, "requests.timeouts.firstByteMs", t.FirstByteMs, MaxTimeoutMs)
	within(f, "requests.timeouts.idleMs", t.IdleMs, MaxTimeoutMs)
	within(f, "requests.timeouts.totalMs", t.TotalMs, MaxTimeoutMs)
	if t.TotalMs <= 0 {
		return
	}
	for _, stage := range []struct {
		path string
		ms   int64
	}{{"connectMs", t.ConnectMs}, {"firstByteMs", t.FirstByteMs}, {"idleMs", t.IdleMs}} {
		if stage.ms > t.TotalMs {
			f.add("requests.timeouts."+stage.path, "%d ms are more than the %d ms that the whole request may take: enter less here, or more there.", stage.ms, t.TotalMs)
		}
	}
}

func checkRetry(f *faults, r Retry) {
	if r.Attempts < 0 || r.Attempts > MaxAttempts {
		f.add("requests.retry.attempts", "%d tries: enter a number from 1 (nothing is tried again) to %d.", r.Attempts, MaxAttempts)
	}
	within(f, "requests.retry.backoffMs", r.BackoffMs, MaxBackoffMs)
	within(f, "requests.retry.maxBackoffMs", r.MaxBackoffMs, MaxBackoffMs)
	if r.MaxBackoffMs > 0 && r.BackoffMs > r.MaxBackoffMs {
		f.add("requests.retry.backoffMs", "%d ms are more than the longest wait of %d ms: enter less here, or more there.", r.BackoffMs, r.MaxBackoffMs)
	}
	if !r.Any() && (r.BackoffMs > 0 || r.MaxBackoffMs > 0) {
		f.add("requests.retry.attempts", "A wait between tries, but one try only: enter how many tries a request has, 2 to %d, or remove the waits.", MaxAttempts)
	}
}

func checkLimits(f *faults, l Limits) {
	within(f, "requests.limits.concurrent", int64(l.Concurrent), MaxConcurrent)
	if l.PerSecond != 0 && !(l.PerSecond >= MinPerSecond && l.PerSecond <= MaxPerSecond) {
		f.add("requests.limits.perSecond", "%g requests in a second: enter a number from %g to %d, or leave it empty for no limit.", l.PerSecond, MinPerSecond, MaxPerSecond)
	}
	within(f, "requests.limits.burst", int64(l.Burst), MaxPerSecond)
	if l.Burst > 0 && l.PerSecond == 0 {
		f.add("requests.limits.perSecond", "A burst, but no rate: enter how many requests may begin in a second, or remove the burst.")
	}
	within(f, "requests.limits.queue", int64(l.Queue), MaxQueue)
	within(f, "requests.limits.queueMs", l.QueueMs, MaxTimeoutMs)
	if !l.Any() && (l.Queue > 0 || l.QueueMs > 0) {
		f.add("requests.limits.concurrent", "A queue, but nothing to wait for: enter how many requests may be under way at once, or begin in a second.")
	}
}

// within reports a number that is not from 1 to most; 0 stands for none.
func within(f *faults, path string, n, most int64) {
	if n < 0 || n > most {
		f.add(path, "%d is out of range: enter a number from 1 to %d, or leave it empty.", n, most)
	}
}
