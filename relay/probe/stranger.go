package probe

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"sallyport/relay/connection"
	"sallyport/relay/road"
)

// stranger is the ping as somebody sends it who is not signed in. How the
// application answers that is how it will tell that a session has ended. It is
// sent beside the ping itself, so that a test takes no round trip more for it.
type stranger struct {
	cancel   context.CancelFunc
	done     chan struct{} // closed when the following are set
	exchange *road.Exchange
	err      error
}

// sendStranger begins it; nil where there is nothing to be learned, or where it
// might do something.
func (r *run) sendStranger(ctx context.Context) *stranger {
	method := r.c.Ping.Method
	if !r.c.Auth.Type.SignsIn() || method != http.MethodGet && method != http.MethodHead {
		return nil
	}
	marks := &connection.Marks{}
	u, err := r.c.URL(r.c.Ping.URI, marks)
	if err != nil { // a value of the sign-in in the URI
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &stranger{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.exchange, s.err = road.Send(ctx, r.rt, r.c, road.Request{Method: method, URL: u, Marks: marks, RequestID: r.requestID, Timeout: pingTimeout})
	}()
	return s
}

// end ends it, if it is under way still.
func (s *stranger) end() {
	if s != nil {
		s.cancel()
		<-s.done
	}
}

// learn says what the answer to a stranger means for a connection whose ping
// has succeeded.
func (r *run) learn(s *stranger) {
	if s == nil {
		return
	}
	<-s.done
	if s.err != nil {
		return // a road that broke: nothing is learned
	}
	last := s.exchange.Last()
	switch status := last.Status; {
	case r.c.Auth.Session.Ends(status):
	case status >= 400 && status < 500:
		r.result.Ended = &EndedHint{Status: status, Fix: endedFix(r.c.Auth.Session, status),
			Text: fmt.Sprintf("Without a session the application answers %s. The relay does not know yet that a session has ended when it sees that, and would not sign in again.", statusText(status))}
	case status/100 == 2 && judge(r.c.Ping, r.c.MediaType, answer{method: last.Method, status: status, header: last.Header, body: s.exchange.Body, truncated: s.exchange.Truncated}).ok:
		r.warn("The ping succeeds without a session too, so it does not show whether the sign-in works. Choose a ping URI that only somebody who is signed in may read.")
	}
}

// endedFix adds a status code to those that end a session.
func endedFix(l *connection.SessionLife, status int) Fix {
	codes := []int{http.StatusUnauthorized}
	if l != nil && len(l.EndedStatusCodes) > 0 {
		codes = l.EndedStatusCodes
	}
	value := ""
	for _, code := range codes {
		value += strconv.Itoa(code) + ", "
	}
	return Fix{Label: "Add " + strconv.Itoa(status), Field: "auth.session.endedStatusCodes", Value: value + strconv.Itoa(status)}
}
