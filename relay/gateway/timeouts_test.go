package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"sallyport/proto"
	"sallyport/relay/connection"
)

// problemOf reads an answer of ours.
func problemOf(t *testing.T, resp *http.Response) problem {
	t.Helper()
	var p problem
	if err := json.Unmarshal([]byte(text(t, resp)), &p); err != nil {
		t.Fatal(resp.Status, err)
	}
	return p
}

func TestATimeoutNamesItsStageAndTheSettingThatAllowsMore(t *testing.T) {
	for _, c := range []struct {
		name, path string
		timeouts   connection.Timeouts
		method     string
		stage      string
		setting    string
		outcome    proto.Outcome
	}{
		{"first byte", "/silent", connection.Timeouts{FirstByteMs: 60}, "POST", "wait", "firstByte", proto.OutcomeUnknown},
		{"idle", "/stops", connection.Timeouts{IdleMs: 60}, "POST", "body", "idle", proto.OutcomeSent},
		{"total", "/silent", connection.Timeouts{TotalMs: 60}, "POST", "wait", "total", proto.OutcomeUnknown},
		{"total, in the body", "/stops", connection.Timeouts{TotalMs: 100}, "GET", "body", "total", proto.OutcomeSent},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, nil)
			s.mux.HandleFunc("/base/silent", func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
			})
			s.mux.HandleFunc("/base/stops", func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Length", "100")
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			})
			s.mux.HandleFunc("/base/ok", func(http.ResponseWriter, *http.Request) {})
			if resp := s.do(t, "GET", "/ok", nil); resp.StatusCode != 200 { // signed in
				t.Fatal(resp.Status)
			}
			s.c.Requests.Timeouts = c.timeouts
			resp := s.do(t, c.method, c.path, strings.NewReader("{}"))
			p := problemOf(t, resp)
			setting := "requests.timeouts." + c.setting + "Ms"
			if resp.StatusCode != http.StatusGatewayTimeout || p.Code != proto.CodeTargetTimeout || p.Outcome != c.outcome {
				t.Errorf("%s, %+v", resp.Status, p)
			}
			if p.Facts["stage"] != c.stage || p.Facts["setting"] != setting || !strings.Contains(p.Hint, setting) {
				t.Errorf("facts %v, hint %q", p.Facts, p.Hint)
			}
		})
	}
}

// TestWithoutTimeoutsNothingIsAdded: what the road is told is what it was told
// before there were any.
func TestWithoutTimeoutsNothingIsAdded(t *testing.T) {
	p := &passage{c: &connection.Connection{}}
	h := http.Header{}
	p.bound(h)
	if len(h) != 0 {
		t.Errorf("%v", h)
	}
}
