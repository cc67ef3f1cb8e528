package web

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"sallyport/relay/edge"
)

// stream is a text/event-stream (HTML standard, section 9.2). Its first error
// ends it; what is sent after that goes nowhere.
type stream struct {
	out     *bufio.Writer
	control *http.ResponseController
	err     error
}

func openStream(w http.ResponseWriter) *stream {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no") // nginx would hold the steps back
	w.WriteHeader(http.StatusOK)
	s := &stream{out: bufio.NewWriter(w), control: http.NewResponseController(w)}
	s.flush()
	return s
}

func (s *stream) send(event, data string) {
	if s.err != nil {
		return
	}
	fmt.Fprintf(s.out, "event: %s\n", event)
	// CR ends a line of the stream too; markup means the same with LF.
	for _, line := range strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(data), "\n") {
		fmt.Fprintf(s.out, "data: %s\n", line)
	}
	fmt.Fprint(s.out, "\n")
	s.flush()
}

func (s *stream) flush() {
	if s.err = s.out.Flush(); s.err == nil {
		s.err = s.control.Flush()
	}
}

// logStream notes what can't be shown any more, since the answer has begun.
func (h *handler) logStream(r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the reader went away
	}
	h.Log.Error("live test could not be shown or kept", zap.String("requestId", edge.RequestID(r.Context())), zap.Error(err))
}
