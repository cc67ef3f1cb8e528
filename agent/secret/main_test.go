package secret

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"sallyport/agent/hostpattern"
	"sallyport/internal/escape"
	"sallyport/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// awkward would break out of every place if it were not escaped.
const awkward = `pä"ss<wo>rd&'\ 1+%,x`

// privateFile writes a file that only its owner can read.
func privateFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func prepared(t *testing.T, s Settings) *Prepared {
	t.Helper()
	p, err := Prepare(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newStore(t *testing.T, s Settings, o Options) *Store {
	t.Helper()
	store := New(prepared(t, s), o)
	t.Cleanup(store.Close)
	return store
}

// storeOf is a store of one secret "p" with that value.
func storeOf(t *testing.T, value string, hosts ...string) *Store {
	t.Helper()
	s := Source{Variable: "P"}
	for _, h := range hosts {
		p, err := hostpattern.Parse(h)
		if err != nil {
			t.Fatal(err)
		}
		s.Hosts = append(s.Hosts, p)
	}
	return newStore(t, Settings{Secrets: map[string]Source{"p": s}}, Options{Env: func(string) (string, bool) { return value, true }})
}

// sent is what reached the target.
type sent struct {
	*http.Request
	body string
}

// answering is a target; it keeps what it got.
type answering struct {
	got    []sent
	answer func(*http.Request) (*http.Response, error)
}

func (a *answering) RoundTrip(req *http.Request) (*http.Response, error) {
	body := ""
	if req.Body != nil {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		body = string(b)
		_ = req.Body.Close()
	}
	a.got = append(a.got, sent{req, body})
	if a.answer != nil {
		return a.answer(req)
	}
	return answer(200, nil, "ok"), nil
}

func answer(status int, header http.Header, body string) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Status: "200 OK", Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

const mark = "agent.secret.p.ABCDEFGHIJKLMNOPQRSTUVWXYZ_0_"

// request is one with marks, and the lines that name them.
func request(t *testing.T, method, url, body string, lines ...proto.Fill) *http.Request {
	t.Helper()
	var from io.Reader
	if body != "" {
		from = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, from)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		req.Header.Add(proto.HeaderFill, l.String())
	}
	return req
}

func line(place string, kind escape.Kind) proto.Fill {
	return proto.Fill{Mark: mark, Place: place, Escape: string(kind), Secret: "p"}
}

// wantError checks an error and that it tells no value.
func wantError(t *testing.T, err error, code proto.Code, reason proto.Reason, values ...string) *proto.Error {
	t.Helper()
	e := proto.AsError(err)
	if e == nil {
		t.Fatalf("got %v, want a *proto.Error", err)
	}
	if e.Code != code || e.Reason != reason {
		t.Fatalf("got %s (%s), want %s (%s)", e, e.Reason, code, reason)
	}
	if e.Outcome != proto.OutcomeNotSent && reason != proto.ReasonSecretEchoed {
		t.Errorf("outcome %q", e.Outcome)
	}
	if e.Hint == "" || !strings.HasSuffix(e.Detail, ".") {
		t.Errorf("detail %q, hint %q", e.Detail, e.Hint)
	}
	told := e.Error() + e.Hint
	for _, fact := range e.Facts {
		told += fact
	}
	for _, v := range values {
		if strings.Contains(told, v) {
			t.Errorf("%q tells %q", told, v)
		}
	}
	return e
}
