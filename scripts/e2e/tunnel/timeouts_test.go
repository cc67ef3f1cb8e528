package tunnel

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"sallyport/proto"
	"sallyport/relay/connection"
)

// TestATimeOutIsToldAlikeOnBothRoads: its stage, the setting that allows more,
// and whether the application may have acted.
func TestATimeOutIsToldAlikeOnBothRoads(t *testing.T) {
	app := target(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/stops" {
			w.Header().Set("Content-Length", "100")
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	})
	mute, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and shakes no hands
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mute.Close() })
	for _, c := range []struct {
		name, base, path string
		timeouts         connection.Timeouts
		stage, setting   string
		outcome          proto.Outcome
	}{
		{"connect", "https://" + mute.Addr().String(), "/", connection.Timeouts{ConnectMs: 100}, "tls", "connectMs", proto.OutcomeNotSent},
		{"first byte", app.URL, "/silent", connection.Timeouts{FirstByteMs: 100}, "wait", "firstByteMs", proto.OutcomeUnknown},
		{"idle", app.URL, "/stops", connection.Timeouts{IdleMs: 100}, "body", "idleMs", proto.OutcomeSent},
		{"total", app.URL, "/silent", connection.Timeouts{TotalMs: 500}, "wait", "totalMs", proto.OutcomeUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			urls := roads(t, c.base, connection.Requests{Timeouts: c.timeouts})
			delete(urls, "direct")
			for mode, base := range urls {
				resp, err := http.DefaultTransport.RoundTrip(mustRequest(t, "POST", base+c.path, strings.NewReader("{}")))
				var p struct {
					Outcome proto.Outcome
					Code    proto.Code
					Hint    string
					Facts   map[string]string
				}
				if err := json.Unmarshal([]byte(mustRead(t, resp, err)), &p); err != nil {
					t.Fatal(mode, err)
				}
				setting := "requests.timeouts." + c.setting
				if resp.StatusCode != http.StatusGatewayTimeout || p.Code != proto.CodeTargetTimeout || p.Outcome != c.outcome ||
					p.Facts["stage"] != c.stage || p.Facts["setting"] != setting || !strings.Contains(p.Hint, setting) {
					t.Errorf("%s: %s, %+v", mode, resp.Status, p)
				}
			}
		})
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}
