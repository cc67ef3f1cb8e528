package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"sallyport/agent/linefile"
	"sallyport/internal/outbound"
	"sallyport/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var limits = linefile.Limits{Size: linefile.MinSize, Files: 2, Age: 24 * time.Hour}

func open(t *testing.T, path string) *Ledger {
	t.Helper()
	l, err := Open(Options{Path: path, Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func entries(t *testing.T, path string) (all []Entry) {
	t.Helper()
	if err := linefile.NewReader(path, time.Time{}).Read(func(line []byte) error {
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		all = append(all, e)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// app is a real application, and transport the agent's real way to it.
func app(t *testing.T, h http.HandlerFunc) (string, http.RoundTripper) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	transport := outbound.New(outbound.Options{})
	t.Cleanup(transport.Close)
	return server.URL, transport
}

func request(t *testing.T, method, target, body string) *http.Request {
	t.Helper()
	var from io.Reader
	if body != "" {
		from = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target, from)
	if err != nil {
		t.Fatal(err)
	}
	req.Header[proto.HeaderRequestID] = []string{"req_1"}
	req.Header[proto.HeaderConnection] = []string{"con_1"}
	req.Header[proto.HeaderCaller] = []string{"token export"}
	return req
}

func send(t *testing.T, rt http.RoundTripper, req *http.Request) error {
	t.Helper()
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

// refusing fails every request.
type refusing struct{ err error }

func (r refusing) RoundTrip(*http.Request) (*http.Response, error) { return nil, r.err }

func TestEveryRequestIsWrittenDownWithWhatBecameOfIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	l := open(t, path)
	url, transport := app(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		case "/broken":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		default:
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, "answer")
		}
	})
	rt := l.Wrap(transport)
	if err := send(t, rt, request(t, "POST", url+"/orders?customer=Miller&key=hush&hush2", "12345")); err != nil {
		t.Fatal(err)
	}
	if err := send(t, rt, request(t, "GET", url+"/empty", "")); err != nil {
		t.Fatal(err)
	}
	if err := send(t, rt, request(t, "GET", url+"/broken", "")); err == nil {
		t.Error("an answer that broke off was passed on as whole")
	}
	denied := &proto.Error{Code: proto.CodePolicyDenied, Outcome: proto.OutcomeNotSent, Facts: map[string]string{"rule": "deny GET x"}}
	paused := (&proto.Paused{Since: time.Unix(1e9, 0)}).Failure("The agent")
	for _, err := range []error{denied, paused, errors.New("odd")} {
		if got := send(t, l.Wrap(refusing{err}), request(t, "GET", "http://user:hush@erp.test/x", "")); !errors.Is(got, err) {
			t.Errorf("got %v, want %v as it is", got, err)
		}
	}
	l.Refused(request(t, "PUT", "http://erp.test/big", ""), &proto.Error{Code: proto.CodeTooLarge, Outcome: proto.OutcomeNotSent})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	base := func(e Entry) Entry {
		e.RequestID, e.ConnectionID, e.Who = "req_1", "con_1", "token export"
		return e
	}
	want := []Entry{
		base(Entry{Method: "POST", URL: url + "/orders?customer=***&key=***&***", Decision: Allowed, Status: 201, BytesUp: 5, BytesDown: 6}),
		base(Entry{Method: "GET", URL: url + "/empty", Decision: Allowed, Status: 204}),
		base(Entry{Method: "GET", URL: url + "/broken", Decision: Allowed, Status: 200, BytesDown: 4, Code: "target_unreachable", Outcome: "sent"}),
		base(Entry{Method: "GET", URL: "http://erp.test/x", Decision: Denied, Rule: "deny GET x", Code: "policy_denied", Outcome: "not_sent"}),
		base(Entry{Method: "GET", URL: "http://erp.test/x", Decision: Paused, Code: "agent_paused", Outcome: "not_sent"}),
		base(Entry{Method: "GET", URL: "http://erp.test/x", Decision: Allowed, Code: "internal"}),
		base(Entry{Method: "PUT", URL: "http://erp.test/big", Decision: Allowed, Code: "too_large", Outcome: "not_sent"}),
	}
	got := entries(t, path)
	for i := range got {
		if age := time.Since(got[i].Time); age < 0 || age > time.Minute || got[i].DurationMs < 0 {
			t.Errorf("entry %d came %v ago and took %v ms", i, age, got[i].DurationMs)
		}
		got[i].Time, got[i].DurationMs = time.Time{}, 0
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRuleThatAllowedIsNoted(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	l := open(t, path)
	url, transport := app(t, func(http.ResponseWriter, *http.Request) {})
	rt := l.Wrap(deciding{transport})
	if err := send(t, rt, request(t, "GET", url, "")); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := entries(t, path); len(got) != 1 || got[0].Rule != "allow GET erp" {
		t.Errorf("got %+v", got)
	}
}

type deciding struct{ next http.RoundTripper }

func (d deciding) RoundTrip(req *http.Request) (*http.Response, error) {
	NoteRule(req.Context(), "allow GET erp")
	return d.next.RoundTrip(req)
}

func TestEntriesAreOnDiskWithinASecondWithoutClosing(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	l := open(t, path)
	defer l.Close()
	_ = send(t, l.Wrap(refusing{errors.New("odd")}), request(t, "GET", "http://erp.test", ""))
	for deadline := time.Now().Add(10 * time.Second); len(entries(t, path)) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the entry waits for others")
		}
	}
}

func TestManyAtOnceAreAllThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	l := open(t, path)
	url, transport := app(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	rt := l.Wrap(transport)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 50 {
				if err := send(t, rt, request(t, "PUT", fmt.Sprintf("%s/%d", url, i), "body")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got := entries(t, path)
	for _, e := range got {
		if e.Status != 200 || e.BytesUp != 4 || e.BytesDown != 2 {
			t.Fatalf("got %+v", e)
		}
	}
	if len(got) != 400 || l.Lost() != 0 {
		t.Errorf("%d entries of 400, %d lost", len(got), l.Lost())
	}
}

func TestLongURLIsCut(t *testing.T) {
	req := request(t, "GET", "http://erp.test/"+strings.Repeat("p", 5000), "")
	if got := hideValues(req.URL); len(got) > longestURL+4 || !strings.HasSuffix(got, "…") {
		t.Errorf("%d bytes", len(got))
	}
}

func TestSecretInThePathIsWrittenDownByItsName(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	l := open(t, path)
	const mark = "agent.secret.key.ABCDEFGHIJKLMNOP_0_"
	req := request(t, "GET", "http://erp.test/of/"+mark+"/orders?key="+mark, "")
	req.Header[proto.HeaderFill] = []string{mark + " uri uri key"}
	_ = send(t, l.Wrap(refusing{errors.New("odd")}), req)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := entries(t, path); len(got) != 1 || got[0].URL != "http://erp.test/of/{{agent.secret.key}}/orders?key=***" {
		t.Errorf("got %+v", got)
	}
}

func TestUnsoundLimits(t *testing.T) {
	if _, err := Open(Options{Path: "x"}); err == nil {
		t.Error("a ledger without limits was opened")
	}
}
