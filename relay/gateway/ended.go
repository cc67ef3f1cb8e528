package gateway

import "net/http"

// ended says why an answer means that the session has ended, "" where it does
// not.
func (p *passage) ended(resp *http.Response) string {
	return p.held.Ended(p.c, p.target, resp.StatusCode, resp.Header.Get("Location"))
}
