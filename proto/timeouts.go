package proto

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Timeouts bound single stages of a request, where HeaderTimeout bounds all of
// it. Zero: no limit but that of whoever performs the request.
type Timeouts struct {
	Connect   time.Duration // until there is a connection to the target, TLS included
	FirstByte time.Duration // from the request written to the first byte of the answer
	Idle      time.Duration // in which neither a byte of a body goes up nor one comes down
}

// What Error.Facts["timeout"] says of a target_timeout: which limit has passed.
// They are the names of the settings of a connection, less their "Ms".
const (
	TimeoutConnect   = "connect"
	TimeoutFirstByte = "firstByte"
	TimeoutIdle      = "idle"
	TimeoutTotal     = "total"
)

// maxTimeout is the longest that any limit may be.
const maxTimeout = 24 * time.Hour

// FormatTimeouts writes t as the value of HeaderTimeouts: comma-separated
// key=value pairs in whole milliseconds, for example
// "connect=5000,firstByte=30000,idle=60000". Empty: no limit.
func FormatTimeouts(t Timeouts) string {
	var b []byte
	add := func(key string, d time.Duration) {
		if d <= 0 {
			return
		}
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = append(b, key...)
		b = append(b, '=')
		b = strconv.AppendInt(b, max(d.Milliseconds(), 1), 10)
	}
	add(TimeoutConnect, t.Connect)
	add(TimeoutFirstByte, t.FirstByte)
	add(TimeoutIdle, t.Idle)
	return string(b)
}

// ParseTimeouts reads what FormatTimeouts wrote. Unknown keys are passed over; a
// value that is not a number of milliseconds up to a day is an error.
func ParseTimeouts(s string) (Timeouts, error) {
	var t Timeouts
	for s != "" {
		var pair string
		pair, s, _ = strings.Cut(s, ",")
		key, value, _ := strings.Cut(pair, "=")
		ms, err := strconv.ParseInt(value, 10, 64)
		if err != nil || ms < 0 || ms > maxTimeout.Milliseconds() {
			return Timeouts{}, fmt.Errorf("%s: %q is not a number of milliseconds up to a day", HeaderTimeouts, pair)
		}
		limit := time.Duration(ms) * time.Millisecond
		switch key {
		case TimeoutConnect:
			t.Connect = limit
		case TimeoutFirstByte:
			t.FirstByte = limit
		case TimeoutIdle:
			t.Idle = limit
		}
	}
	return t, nil
}
