package road_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/internal/outbound"
	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/road"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cloud is the real road of cloud mode.
func cloud(t *testing.T) http.RoundTripper {
	rt := outbound.New(outbound.Options{})
	t.Cleanup(rt.Close)
	return rt
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func at(t *testing.T, raw string) *url.URL {
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestSendAddsHeadersAndFillsPlaceholders(t *testing.T) {
	var got *http.Request
	var body string
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, body = r, string(b)
	})
	c := &connection.Connection{ID: "con_1", Spec: connection.Spec{
		BaseURI: app.URL, MediaType: connection.JSON,
		Headers: []connection.Header{{Name: "x-company", Value: "id {{secret.company}}"}, {Name: "Accept", Value: "application/vnd.erp+json"}},
	}, Secrets: map[string]string{"company": "acme", "password": `a"b\c`}}
	e, err := road.Send(context.Background(), cloud(t), c, road.Request{
		Method: "POST", URL: at(t, app.URL+"/login"), Body: `{"password":"{{secret.password}}"}`, RequestID: "req-1", Timeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"X-Company": "id acme", "Accept": "application/vnd.erp+json", "Content-Type": connection.JSON.ContentType(), "User-Agent": road.UserAgent, "Accept-Encoding": "",
	} {
		if v := got.Header.Get(name); v != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
	if want := `{"password":"a\"b\\c"}`; body != want {
		t.Errorf("body %s, want %s", body, want)
	}
	for name := range got.Header {
		if strings.HasPrefix(name, proto.HeaderPrefix) {
			t.Errorf("%s reached the target", name)
		}
	}
	for name := range e.Last().RequestHeader {
		if strings.HasPrefix(name, proto.HeaderPrefix) {
			t.Errorf("%s is in the record", name)
		}
	}
	if e.Last().Timing.Address == "" || e.Last().Duration <= 0 {
		t.Errorf("no timing in %+v", e.Last())
	}
}

func TestNoBodyNoContentType(t *testing.T) {
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if v, ok := r.Header["Content-Type"]; ok {
			t.Errorf("Content-Type %v", v)
		}
	})
	c := &connection.Connection{Spec: connection.Spec{BaseURI: app.URL}}
	if _, err := road.Send(context.Background(), cloud(t), c, road.Request{Method: "GET", URL: at(t, app.URL)}); err != nil {
		t.Fatal(err)
	}
}

func TestAMissingSecretIsSaidBeforeAnythingIsSent(t *testing.T) {
	app := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	for _, c := range []*connection.Connection{
		{Spec: connection.Spec{BaseURI: app.URL, Headers: []connection.Header{{Name: "X-Key", Value: "{{secret.key}}"}}}},
		{Spec: connection.Spec{BaseURI: app.URL, Headers: []connection.Header{{Name: "X-Key", Value: "{{secret.key}}"}}}, Secrets: map[string]string{"key": "a\r\nX-Admin: 1"}},
	} {
		_, err := road.Send(context.Background(), cloud(t), c, road.Request{Method: "GET", URL: at(t, app.URL)})
		if e := proto.AsError(err); e == nil || e.Code != proto.CodeValidation || e.Outcome != proto.OutcomeNotSent || !strings.Contains(e.Detail, "X-Key") {
			t.Errorf("got %v", err)
		}
	}
}

// jar is the plainest road.Jar.
type jar map[string]string

func (j jar) SetCookies(u *url.URL, lines []string) {
	for _, l := range lines {
		j[u.Host] += strings.SplitN(l, ";", 2)[0]
	}
}
func (j jar) Header(u *url.URL) string { return j[u.Host] }

func TestRedirectsAreFollowedHopByHop(t *testing.T) {
	type seen struct{ method, path, body, key, cookie string }
	for _, c := range []struct {
		status      int
		method      string
		wantMethod  string
		wantHasBody bool
	}{
		{301, "POST", "GET", false}, {302, "POST", "GET", false}, {303, "POST", "GET", false},
		{303, "PUT", "GET", false}, {302, "HEAD", "HEAD", false}, {303, "HEAD", "HEAD", false},
		{307, "POST", "POST", true}, {308, "PUT", "PUT", true}, {302, "GET", "GET", false},
	} {
		t.Run(fmt.Sprint(c.status, c.method), func(t *testing.T) {
			var log []seen
			app := serve(t, func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				log = append(log, seen{r.Method, r.URL.Path, string(b), r.Header.Get("X-Key"), r.Header.Get("Cookie")})
				if r.URL.Path == "/a" {
					w.Header().Set("Set-Cookie", "hop=1; Path=/")
					w.Header().Set("Location", "b")
					w.WriteHeader(c.status)
				}
			})
			spec := connection.Spec{BaseURI: app.URL, Headers: []connection.Header{{Name: "X-Key", Value: "k"}}}
			body := ""
			if c.method == "POST" || c.method == "PUT" {
				body = "secret"
			}
			e, err := road.Send(context.Background(), cloud(t), &connection.Connection{Spec: spec}, road.Request{
				Method: c.method, URL: at(t, app.URL+"/a"), Body: body, Jar: jar{}, FollowRedirects: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(log) != 2 || len(e.Hops) != 2 {
				t.Fatalf("%d requests, %d hops", len(log), len(e.Hops))
			}
			want := seen{c.wantMethod, "/b", "", "k", "hop=1"}
			if c.wantHasBody {
				want.body = body
			}
			if log[1] != want {
				t.Errorf("second request %+v, want %+v", log[1], want)
			}
			if e.Hops[0].Status != c.status || e.Last().Status != 200 {
				t.Errorf("statuses %d, %d", e.Hops[0].Status, e.Last().Status)
			}
		})
	}
}

func TestConfiguredHeadersAndBodiesStayAtTheBaseOrigin(t *testing.T) {
	var got http.Header
	hits := 0
	other := serve(t, func(w http.ResponseWriter, r *http.Request) { got = r.Header; hits++ })
	status := 302
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.Replace(other.URL, "http://", "http://user:pass@", 1)+"/elsewhere?token=hunter2", status)
	})
	c := &connection.Connection{Spec: connection.Spec{BaseURI: app.URL, Headers: []connection.Header{{Name: "X-Key", Value: "k"}, {Name: "Authorization", Value: "Basic abc"}}}}
	r := road.Request{Method: "POST", URL: at(t, app.URL), Body: "password", FollowRedirects: true}
	if _, err := road.Send(context.Background(), cloud(t), c, r); err != nil {
		t.Fatal(err)
	}
	if hits != 1 || got.Get("X-Key") != "" || got.Get("Authorization") != "" || got.Get("Content-Type") != "" {
		t.Errorf("%d requests, header %v", hits, got)
	}
	for _, status = range []int{307, 308} {
		e, err := road.Send(context.Background(), cloud(t), c, r)
		failure := proto.AsError(err)
		if failure == nil || failure.Reason != road.ReasonRedirectOrigin || failure.Outcome != proto.OutcomeSent || len(e.Hops) != 1 {
			t.Fatalf("%d: %v with %d hops", status, err, len(e.Hops))
		}
		if strings.Contains(failure.Detail+failure.Facts["location"], "hunter2") {
			t.Errorf("the query is told: %v", failure)
		}
	}
	if hits != 1 {
		t.Error("the body went to another origin")
	}
}

func TestRedirectsThatLeadNowhere(t *testing.T) {
	location := ""
	hits := 0
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		hits++
		if location != "" {
			w.Header().Set("Location", location)
		}
		w.WriteHeader(302)
	})
	c := &connection.Connection{Spec: connection.Spec{BaseURI: app.URL}}
	for _, tc := range []struct {
		location string
		reason   proto.Reason
		hits     int
	}{
		{"/", proto.ReasonTooManyRedirects, road.MaxRedirects + 1},
		{"javascript:alert(1)", road.ReasonRedirectInvalid, 1},
		{"http://[", road.ReasonRedirectInvalid, 1},
		{"", "", 1},
	} {
		location, hits = tc.location, 0
		e, err := road.Send(context.Background(), cloud(t), c, road.Request{Method: "GET", URL: at(t, app.URL), FollowRedirects: true})
		var reason proto.Reason
		if failure := proto.AsError(err); failure != nil {
			reason = failure.Reason
		}
		if reason != tc.reason || hits != tc.hits || len(e.Hops) != hits {
			t.Errorf("%q: reason %q after %d requests (%d hops), want %q after %d", tc.location, reason, hits, len(e.Hops), tc.reason, tc.hits)
		}
	}
}

func TestBodiesAreDecodedAndBounded(t *testing.T) {
	zip := func(b []byte) []byte {
		var buf bytes.Buffer
		w := gzip.NewWriter(&buf)
		_, _ = w.Write(b)
		_ = w.Close()
		return buf.Bytes()
	}
	big := bytes.Repeat([]byte("x"), road.BodyLimit+5)
	for _, tc := range []struct {
		name, encoding string
		sent, want     []byte
		truncated      bool
	}{
		{"plain", "", []byte("ok"), []byte("ok"), false},
		{"gzip", "gzip", zip([]byte("ok")), []byte("ok"), false},
		{"not gzip", "gzip", []byte("ok"), []byte("ok"), false},
		{"gzip cut short", "gzip", zip([]byte("ok"))[:12], zip([]byte("ok"))[:12], false},
		{"long", "", big, big[:road.BodyLimit], true},
		{"exactly", "", big[:road.BodyLimit], big[:road.BodyLimit], false},
		{"bomb", "gzip", zip(big), big[:road.BodyLimit], true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			app := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", tc.encoding)
				_, _ = w.Write(tc.sent)
			})
			e, err := road.Send(context.Background(), cloud(t), &connection.Connection{Spec: connection.Spec{BaseURI: app.URL}}, road.Request{Method: "GET", URL: at(t, app.URL)})
			if err != nil || !bytes.Equal(e.Body, tc.want) || e.Truncated != tc.truncated {
				t.Errorf("%d bytes, truncated %v, error %v", len(e.Body), e.Truncated, err)
			}
		})
	}
}

func TestFailuresKeepTheRecord(t *testing.T) {
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		case "/cut":
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("half"))
		case "/slow":
			<-r.Context().Done()
		}
	})
	c := &connection.Connection{Spec: connection.Spec{BaseURI: app.URL}}
	t.Run("refused at the second hop", func(t *testing.T) {
		e, err := road.Send(context.Background(), cloud(t), c, road.Request{Method: "GET", URL: at(t, app.URL+"/redirect"), FollowRedirects: true})
		if failure := proto.AsError(err); failure == nil || failure.Code != proto.CodeTargetRefused || len(e.Hops) != 2 || e.Last().Status != 0 {
			t.Errorf("%v, %d hops", err, len(e.Hops))
		}
	})
	t.Run("cut", func(t *testing.T) {
		e, err := road.Send(context.Background(), cloud(t), c, road.Request{Method: "GET", URL: at(t, app.URL+"/cut")})
		if failure := proto.AsError(err); failure == nil || failure.Outcome != proto.OutcomeSent || string(e.Body) != "half" || e.Last().Status != 200 {
			t.Errorf("%v, body %q", err, e.Body)
		}
	})
	t.Run("too slow", func(t *testing.T) {
		_, err := road.Send(context.Background(), cloud(t), c, road.Request{Method: "GET", URL: at(t, app.URL+"/slow"), Timeout: 50 * time.Millisecond})
		if failure := proto.AsError(err); failure == nil || failure.Code != proto.CodeTargetTimeout || failure.Facts["stage"] != "wait" {
			t.Errorf("%v", err)
		}
	})
	t.Run("given up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := road.Send(ctx, cloud(t), c, road.Request{Method: "GET", URL: at(t, app.URL+"/slow")})
		if failure := proto.AsError(err); failure == nil || failure.Code != proto.CodeCanceled {
			t.Errorf("%v", err)
		}
	})
}

func TestEveryErrorIsOne(t *testing.T) {
	for _, err := range []error{io.ErrUnexpectedEOF, context.DeadlineExceeded, context.Canceled, errors.New("other")} {
		if e := road.Failure(context.Background(), err); e.Detail == "" || !errors.Is(e, err) {
			t.Errorf("%v became %v", err, e)
		}
	}
	shared := &proto.Error{Code: proto.CodeTunnelLost}
	if e := road.Failure(context.Background(), shared); e == shared || e.Code != shared.Code {
		t.Error("a shared error was not copied")
	}
}
