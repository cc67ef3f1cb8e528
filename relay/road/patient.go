package road

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"sallyport/proto"
)

// Patient is a road whose far end may be away for a moment, and that holds
// requests until it is back. Package hub implements it.
type Patient interface {
	http.RoundTripper
	// Await waits until a request could be sent, for as long as told at most,
	// and says how long that took. It fails as the request would. A negative
	// wait is as long as the road is set to.
	Await(ctx context.Context, wait time.Duration) (time.Duration, error)
	// MostWait is the longest that a request can be held; 0: none is held.
	MostWait() time.Duration
}

// Await waits for the far end of a road that is patient, as long as it is set to.
func Await(ctx context.Context, rt http.RoundTripper) error {
	patient, ok := rt.(Patient)
	if !ok {
		return nil
	}
	_, err := patient.Await(ctx, -1)
	return err
}

// Hasty is rt, but holds requests for as long as told at most: for a person
// who waits for the answer.
func Hasty(rt http.RoundTripper, wait time.Duration) http.RoundTripper {
	if _, ok := rt.(Patient); !ok {
		return rt
	}
	return hasty{rt, strconv.FormatInt(wait.Milliseconds(), 10)}
}

type hasty struct {
	rt   http.RoundTripper
	wait string
}

func (h hasty) RoundTrip(req *http.Request) (*http.Response, error) {
	told := req.Clone(req.Context())
	told.Header[proto.HeaderWait] = []string{h.wait}
	return h.rt.RoundTrip(told)
}
