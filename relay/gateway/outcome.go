package gateway

import (
	"net/http"

	"sallyport/proto"
	"sallyport/relay/result"
)

// Reasons of a request whose idempotency key was used before.
const (
	ReasonStillRunning  proto.Reason = "idempotency_still_running"     // conflict; Facts: retryAfter
	ReasonKeyReused     proto.Reason = "idempotency_key_reused"        // validation: for another request
	ReasonResultNotKept proto.Reason = "idempotency_result_not_kept"   // conflict; Facts: status
	ReasonResultLost    proto.Reason = "idempotency_result_lost"       // internal
	ReasonNoResults     proto.Reason = "idempotency_store_unavailable" // internal
)

func (p *passage) stillRunning() *proto.Error {
	return &proto.Error{Code: proto.CodeConflict, Reason: ReasonStillRunning, Outcome: proto.OutcomeNotSent,
		Detail: "The first request with this Idempotency-Key is still under way.",
		Hint:   "Send this one again in a moment: it gets the first one's result. It was not sent to the application.",
		Facts:  map[string]string{"retryAfter": "2"}}
}

// unkeyed is the failure of a request that can't be protected as it asks for.
func (p *passage) unkeyed(err error) *proto.Error {
	if p.ctx.Err() != nil {
		return p.failure(err)
	}
	if e := proto.AsError(err); e != nil { // it says itself what is wrong
		told := *e
		told.Outcome = proto.OutcomeNotSent
		return &told
	}
	return &proto.Error{Code: proto.CodeInternal, Reason: ReasonNoResults, Outcome: proto.OutcomeNotSent, Err: err,
		Detail: "The relay could not note the Idempotency-Key in its database, so the request was not sent.",
		Hint:   "Try again; if it stays, tell whoever runs the relay."}
}

// answers notes what the application answers, of which all is kept that the
// caller is passed.
func (k *keyed) answers(resp *http.Response) {
	if k == nil || k.flow == nil {
		return
	}
	k.flow.answered.Store(true)
	k.result.Status, k.result.Header = resp.StatusCode, make(http.Header, len(resp.Header))
	named := connectionNamed(resp.Header)
	for name, values := range resp.Header {
		if leaves(name) && !named.has(name) {
			k.result.Header[name] = values
		}
	}
}

// add keeps a piece of the answer, and reports whether there is room for more.
func (k *keyed) add(piece []byte) bool {
	if k == nil || k.flow == nil || k.result.TooLarge {
		return false
	}
	if len(k.result.Body)+len(piece) > resultLimit {
		k.result.Body, k.result.TooLarge = nil, true
		return false
	}
	k.result.Body = append(k.result.Body, piece...)
	return true
}

// ends notes that the answer is complete.
func (k *keyed) ends(resp *http.Response) {
	if k == nil || k.flow == nil {
		return
	}
	k.whole = true
	for name, values := range resp.Trailer {
		if leaves(name) {
			if k.result.Trailer == nil {
				k.result.Trailer = make(http.Header)
			}
			k.result.Trailer[name] = values
		}
	}
}

// fails notes that there is no answer, or not all of it.
func (p *passage) fails(e *proto.Error) {
	k := p.key
	if k == nil || k.flow == nil || k.whole {
		return
	}
	kept := *e
	if p.ctx.Err() != nil && e.Outcome != proto.OutcomeNotSent {
		kept.Code, kept.Reason = proto.CodeTargetTimeout, proto.ReasonTimeout
		kept.Detail = "The caller of the first request with this Idempotency-Key left, and the application did not answer within " + lingering.String() + "."
		kept.Hint = "It may have acted on the request: look there, and send it with a fresh key if it has not."
	}
	k.result = result.Result{Error: &kept}
	k.flow.answered.Store(true)
}

// cameToNothing reports whether the application has not acted on the request,
// so that its key may be used again: it was not sent, or answered by a status
// which says that it was not acted on.
func (k *keyed) cameToNothing() bool {
	if e := k.result.Error; e != nil {
		// By definition, the application took it for somebody else's.
		ended := e.Code == proto.CodeSessionEnded || e.Code == proto.CodeSignInFailed
		return ended || e.Outcome == proto.OutcomeNotSent || e.Code == proto.CodeValidation && e.Outcome == ""
	}
	switch k.result.Status {
	case http.StatusUnauthorized, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case 0: // a fault of ours: nobody knows
		k.result.Error = &proto.Error{Code: proto.CodeInternal, Outcome: proto.OutcomeUnknown, Detail: "The relay met a fault of its own while it sent the first request with this Idempotency-Key."}
	}
	return false
}

// tellReplayed marks what is the result of an earlier request.
func (p *passage) tellReplayed(h http.Header) {
	if p.key != nil && p.key.repeated {
		h["Idempotency-Replayed"] = []string{"true"}
	}
}
