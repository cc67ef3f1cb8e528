package road

import (
	"context"
	"errors"
	"net/url"

	"sallyport/proto"
)

// Failure is the *proto.Error of a request that failed on its road. Roads fail
// with one; where a body broke off or the caller left, it is made here.
func Failure(ctx context.Context, err error) *proto.Error {
	if e := proto.AsError(err); e != nil {
		copied := *e // the road may share one error among requests
		return &copied
	}
	switch {
	case errors.Is(context.Cause(ctx), context.Canceled) || errors.Is(err, context.Canceled):
		return &proto.Error{
			Code: proto.CodeCanceled, Outcome: proto.OutcomeUnknown, Err: err,
			Detail: "The request was given up before the application's answer was complete.",
		}
	case errors.Is(err, context.DeadlineExceeded):
		return &proto.Error{
			Code: proto.CodeTargetTimeout, Outcome: proto.OutcomeUnknown, Reason: proto.ReasonTimeout, Err: err,
			Detail: "The application's answer was not complete in the time that it had.",
		}
	default:
		return &proto.Error{
			Code: proto.CodeTargetUnreachable, Outcome: proto.OutcomeUnknown, Err: err,
			Detail: "The application's answer broke off before it was complete.",
			Hint:   "Try again. Where it happens each time, look into the application's own log for this request.",
		}
	}
}

// place names a URI for a person, without its query, which may hold secrets.
func place(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return shown.String()
}
