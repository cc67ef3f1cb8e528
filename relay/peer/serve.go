package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	"go.uber.org/zap"

	"sallyport/internal/outbound"
	"sallyport/proto"
	"sallyport/relay/hub"
)

// newServer makes the server for other relays.
func (p *Peers) newServer() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+pathRequest, p.request)
	mux.HandleFunc("GET "+pathLink, p.call)
	mux.HandleFunc("POST "+pathInstances, p.tellInstances)
	mux.HandleFunc("POST "+pathDisconnect, p.disconnect)
	mux.HandleFunc("GET "+pathLogs, p.tellLogs)
	return &http.Server{
		Handler:           p.counted(mux),
		TLSConfig:         p.papers.listening(),
		Protocols:         onlyHTTP2(),
		HTTP2:             p.tuning(),
		ReadHeaderTimeout: dialTimeout, // and the TLS handshake
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          stdLog(p.log), // who was not let in
	}
}

// stdLog is where net/http says who was not let in.
func stdLog(to *zap.Logger) *log.Logger {
	std, err := zap.NewStdLogAt(to, zap.InfoLevel)
	if err != nil { // of a level that does not exist
		panic(err)
	}
	return std
}

// counted lets Close wait for what is being served, which ends with its
// connection.
func (p *Peers) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			panic(http.ErrAbortHandler)
		}
		p.serving.Add(1)
		p.mu.Unlock()
		defer p.serving.Done()
		next.ServeHTTP(w, r)
	})
}

// call holds the line on which another relay is told what happens here.
func (p *Peers) call(w http.ResponseWriter, r *http.Request) {
	news, ok := p.callers.enter()
	if !ok {
		http.Error(w, "this relay is about to stop", http.StatusServiceUnavailable)
		return
	}
	defer p.callers.leave(news)
	tell(w, r, news, nil)
}

// tell sends news on as they come, a line of JSON each, until the other relay has
// gone or it is over.
func tell[T any](w http.ResponseWriter, r *http.Request, news <-chan T, over <-chan struct{}) {
	lines := json.NewEncoder(w)
	flush := http.NewResponseController(w).Flush
	for err := flush(); err == nil; {
		select {
		case <-r.Context().Done():
			return
		case <-over:
			return
		case n := <-news:
			if err = lines.Encode(n); err == nil {
				err = flush()
			}
		}
	}
}

// request serves a request that another relay sends on.
func (p *Peers) request(w http.ResponseWriter, r *http.Request) {
	agentID := r.Header.Get(headerAgent)
	told := &informer{w: w}
	req, err := incoming(r, told)
	if err != nil {
		p.refuse(w, &proto.Error{Code: proto.CodeValidation, Outcome: proto.OutcomeNotSent, Err: err,
			Detail: "The relay could not read what another one sent on: " + err.Error() + "."})
		return
	}
	if p.leaving.Load() {
		p.refuse(w, &proto.Error{Code: proto.CodeAgentOffline, Outcome: proto.OutcomeNotSent, Err: hub.ErrNotThere, Detail: "The relay is about to stop."})
		return
	}
	resp, err := p.hub.OwnRoad(agentID).RoundTrip(req)
	told.end()
	if err != nil {
		e := proto.AsError(err)
		if e == nil { // the hub's all are
			e = &proto.Error{Code: proto.CodeInternal, Outcome: proto.OutcomeUnknown, Detail: "The relay could not send the request on.", Err: err}
		}
		p.refuse(w, e)
		return
	}
	defer resp.Body.Close()
	if size(resp.Header) > maxFields-headSize {
		p.refuse(w, tooLong())
		return
	}
	p.metrics.served("ok")
	pass(w, resp)
}

// incoming is the request that another relay sends on, as the hub takes it.
func incoming(r *http.Request, told *informer) (*http.Request, error) {
	target, err := url.Parse(r.Header.Get(headerTarget))
	if err != nil {
		return nil, fmt.Errorf("its target: %w", err)
	}
	if target.Scheme != "http" && target.Scheme != "https" || target.Host == "" || r.Header.Get(headerAgent) == "" || r.Header.Get(headerMethod) == "" {
		return nil, errors.New("it lacks target, method or agent")
	}
	h := r.Header
	req := &http.Request{
		Method: h.Get(headerMethod), URL: target, Host: h.Get(headerHost), Header: h,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: r.Body, ContentLength: r.ContentLength, Trailer: r.Trailer,
	}
	if r.ContentLength == 0 {
		req.Body = http.NoBody
	}
	if lines := h[headerCookie]; lines != nil {
		h["Cookie"] = lines
	}
	for _, name := range [...]string{headerAgent, headerMethod, headerTarget, headerHost, headerCookie} {
		delete(h, name)
	}
	return req.WithContext(context.WithValue(r.Context(), outbound.InformKey{}, outbound.Informer(told))), nil
}

// refuse answers with an error.
func (p *Peers) refuse(w http.ResponseWriter, e *proto.Error) {
	p.metrics.served(code(e))
	told := *e
	switch {
	case errors.Is(e, hub.ErrNotThere):
		told.Reason = reasonNotThere
	case e.Reason == reasonNotThere: // an agent says so, which is no relay
		told.Reason = ""
	}
	h := w.Header()
	h["Date"], h["Content-Type"] = nil, nil
	h[headerFailure] = []string{encode(&told)}
	w.WriteHeader(http.StatusOK)
}

// copyBuffers are shared by all answers; 64 KiB is what one message of a tunnel
// brings.
var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

// pass sends the application's answer on, each piece as it comes.
func pass(w http.ResponseWriter, resp *http.Response) {
	h := w.Header()
	h["Date"], h["Content-Type"] = nil, nil // unless the application says so
	for name, values := range resp.Header {
		if name == "Content-Length" || !hopByHop[name] {
			h[name] = values
		}
	}
	if resp.ContentLength < 0 {
		delete(h, "Content-Length")
	}
	h[headerStatus] = []string{strconv.Itoa(resp.StatusCode)}
	w.WriteHeader(http.StatusOK)
	if resp.Body == http.NoBody {
		return
	}
	flush := http.NewResponseController(w).Flush
	if flush() != nil {
		return
	}
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	for {
		n, err := resp.Body.Read(*buf)
		if n > 0 {
			if _, err := w.Write((*buf)[:n]); err != nil {
				return // the other relay, or its caller, is gone
			}
			if flush() != nil {
				return
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			e := proto.AsError(err)
			if e == nil {
				e = &proto.Error{Code: proto.CodeTargetUnreachable, Outcome: proto.OutcomeSent, Detail: "The application's answer broke off before its end."}
			}
			h[http.TrailerPrefix+headerFailure] = []string{encode(e)}
			return
		}
	}
	proto.Strip(resp.Trailer) // an agent's: it must not speak as this relay
	for name, values := range resp.Trailer {
		h[http.TrailerPrefix+name] = values
	}
}

// tooLong is the failure of a request whose answer has a header that can't be
// sent on.
func tooLong() *proto.Error {
	return &proto.Error{Code: proto.CodeInternal, Outcome: proto.OutcomeSent,
		Detail: "The application's answer has more header fields than can be sent on between relays.",
		Hint:   "The application has acted on the request; have it answer with fewer header fields."}
}

// informer passes informational responses on to the other relay. Both it and the
// answer are written by one goroutine at a time.
type informer struct {
	w http.ResponseWriter

	mu   sync.Mutex // guards over, and the answer until then
	over bool
}

// Inform implements outbound.Informer. What is too long is lost, as it may be.
func (i *informer) Inform(status int, h http.Header) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.over || status < http.StatusProcessing || status >= http.StatusOK || size(h) > maxFields-headSize {
		return
	}
	ours := i.w.Header()
	for name, values := range h {
		if !hopByHop[name] {
			ours[name] = values
		}
	}
	i.w.WriteHeader(status)
	clear(ours)
}

func (i *informer) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.over = true
}
