package logs

import (
	"bytes"
	"io"

	"golang.org/x/sys/windows/svc/eventlog"
)

// Event ids of what is logged. The event source is EventCreate.exe's, which
// knows 1 to 1000; the service itself uses the first few.
const (
	eventWarning = 100
	eventError   = 101
)

// longestEvent is how much of a line one event takes, in bytes: 31 839
// characters is the most that it holds.
const longestEvent = 8 << 10

// eventLog writes JSON lines to the event log of Windows.
type eventLog struct{ log *eventlog.Log }

// openEventLog opens the event log; nil where the agent is no service.
func openEventLog(service string) io.WriteCloser {
	if service == "" {
		return nil
	}
	log, err := eventlog.Open(service)
	if err != nil {
		return nil // the file has it all, too
	}
	return eventLog{log}
}

// Write takes whole lines; each is an event.
func (e eventLog) Write(lines []byte) (int, error) {
	for line := range bytes.Lines(lines) {
		text := cut(string(bytes.TrimSpace(line)), longestEvent)
		var err error
		switch {
		case text == "":
		case bytes.HasPrefix(line, []byte(`{"level":"error"`)):
			err = e.log.Error(eventError, text)
		default:
			err = e.log.Warning(eventWarning, text)
		}
		if err != nil {
			return 0, err
		}
	}
	return len(lines), nil
}

func (e eventLog) Close() error { return e.log.Close() }
