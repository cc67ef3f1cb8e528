package api

import (
	"encoding/json"
	"net/http"
	"time"
)

// writeTime is how long one event may take to leave: a reader that has stopped
// reading must not hold a test or a subscription for ever.
const writeTime = 30 * time.Second

// stream is an answer of server-sent events.
type stream struct {
	w      http.ResponseWriter
	out    *http.ResponseController
	failed bool
}

func openStream(w http.ResponseWriter) *stream {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold events back
	w.WriteHeader(http.StatusOK)
	s := &stream{w: w, out: http.NewResponseController(w)}
	s.flush()
	return s
}

// send writes one event. JSON has no raw line breaks, so one data line holds it.
func (s *stream) send(event string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		s.failed = true
		return
	}
	s.write("event: " + event + "\ndata: " + string(text) + "\n\n")
}

// comment keeps the stream from looking dead to proxies.
func (s *stream) comment() { s.write(": keep-alive\n\n") }

func (s *stream) write(text string) {
	if s.failed {
		return
	}
	_ = s.out.SetWriteDeadline(time.Now().Add(writeTime)) // a writer without deadlines is a test's
	if _, err := s.w.Write([]byte(text)); err != nil {
		s.failed = true
		return
	}
	s.flush()
}

func (s *stream) flush() {
	if err := s.out.Flush(); err != nil {
		s.failed = true
	}
}
