package cli

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"sallyport/internal/outbound"
	"sallyport/proto"
)

func TestMain(m *testing.M) {
	testscript.Main(tidy{m}, map[string]func(){
		"sallyport-agent": func() {
			os.Exit(Main(os.Args[1:], World{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.LookupEnv}))
		},
	})
}

// tidy fails tests that leave goroutines behind. A command that a script runs is a
// process of its own, which ends before.
type tidy struct{ *testing.M }

func (t tidy) Run() int {
	code := t.M.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// TestCommands runs the scripts of testdata against a relay's enrolment door
// ($RELAY, and $SECURE with TLS), its door for tunnels ($GOODRELAY) and a web
// site that is none ($SITE).
func TestCommands(t *testing.T) {
	relay := httptest.NewServer(http.HandlerFunc(enrolment))
	t.Cleanup(relay.Close) // the scripts run beside each other, after this returns
	secure := httptest.NewTLSServer(http.HandlerFunc(enrolment))
	t.Cleanup(secure.Close)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<h1>Welcome to the guests' network</h1>")
	}))
	t.Cleanup(site.Close)
	moved := httptest.NewServer(http.RedirectHandler("https://relay.test/api?token=hush", http.StatusFound))
	t.Cleanup(moved.Close)
	good := httptest.NewServer(http.HandlerFunc(tunnels))
	t.Cleanup(good.Close)
	authority := certificatePEM(secure)
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("RELAY", relay.URL)
			e.Setenv("SECURE", secure.URL)
			e.Setenv("FINGERPRINT", outbound.FingerprintOf(secure.Certificate().Raw).String())
			e.Setenv("SITE", site.URL)
			e.Setenv("GOODRELAY", good.URL)
			e.Setenv("MOVED", moved.URL)
			return os.WriteFile(e.WorkDir+"/authority.pem", authority, 0o644)
		},
	})
}

func certificatePEM(server *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

// enrolment answers as a relay does.
func enrolment(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Code, Hostname, OS, Arch, Version string
		PublicKey                         []byte
	}
	err := json.NewDecoder(r.Body).Decode(&asked)
	switch {
	case r.Method != "POST" || r.URL.Path != "/api/v1/enroll" || err != nil:
		http.NotFound(w, r)
	case len(asked.PublicKey) != 32 || asked.Hostname == "" || asked.OS == "" || asked.Arch == "" || asked.Version == "":
		answer(w, 422, "application/problem+json", `{"code":"validation","detail":"Something is missing."}`)
	case asked.Code == "EXPIRED":
		answer(w, 422, "application/problem+json", `{"code":"validation","detail":"This enrolment code expired an hour ago.","hint":"Make a new one."}`)
	default:
		answer(w, 201, "application/json", `{"agentId":"agt_1","instanceId":"ins_1","agentName":"Plant 2","relayId":"rel_1"}`)
	}
}

// tunnels answers as a relay at which tunnels open.
func tunnels(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{Subprotocols: []string{proto.Subprotocol}}
	switch {
	case r.URL.Path == "/readyz" || r.URL.Path == "/healthz":
		_, _ = io.WriteString(w, "ready\n")
	case r.URL.Path != proto.TunnelPath:
		http.NotFound(w, r)
	case !websocket.IsWebSocketUpgrade(r):
		w.Header().Set("Sec-WebSocket-Protocol", proto.Subprotocol)
		http.Error(w, "a websocket is expected", http.StatusUpgradeRequired)
	default:
		if ws, err := up.Upgrade(w, r, nil); err == nil {
			_, _, _ = ws.NextReader() // until the other end closes
			_ = ws.Close()
		}
	}
}

func answer(w http.ResponseWriter, status int, media, body string) {
	w.Header().Set("Content-Type", media)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}
