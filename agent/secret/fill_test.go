package secret

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sallyport/internal/escape"
	"sallyport/proto"
)

func TestSecretsAreFilledInWhereTheRelayNamesThem(t *testing.T) {
	target := &answering{}
	rt := storeOf(t, awkward).Wrap(target)
	req := request(t, "POST", "https://erp.test/in?key="+mark+"&x=1", `{"p":"`+mark+`"}`,
		line(proto.FillInBody, escape.JSON), line(proto.FillInURI, escape.URI), line(proto.FillInHeader+"X-Key", escape.Header))
	req.Header.Add("X-Key", "id "+mark)
	req.Header.Add("X-Key", "plain")
	req.Header.Set("X-Other", mark) // not named
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	got := target.got[0]
	if want := `{"p":"pä\"ss<wo>rd&'\\ 1+%,x"}`; got.body != want || got.ContentLength != int64(len(want)) {
		t.Errorf("body %s (length %d), want %s", got.body, got.ContentLength, want)
	}
	if again, err := got.GetBody(); err != nil {
		t.Error(err)
	} else {
		_ = again.Close()
	}
	if got.URL.Query().Get("key") != awkward || got.URL.Query().Get("x") != "1" || got.URL.Path != "/in" {
		t.Errorf("URL %s", got.URL)
	}
	if v := got.Header["X-Key"]; v[0] != "id "+awkward || v[1] != "plain" {
		t.Errorf("header %q", v)
	}
	if v := got.Header.Get("X-Other"); v != mark {
		t.Errorf("what was not named was filled in: %q", v)
	}
	if got.Header[proto.HeaderFill] != nil {
		t.Error("the options go on")
	}
	// Whoever looked at the request before (policy, ledger, log) must not find
	// the value in it afterwards.
	if !strings.Contains(req.URL.String(), mark) || req.Header["X-Key"][0] != "id "+mark || resp.Request != req {
		t.Errorf("the request as it came was changed: %s %v", req.URL, req.Header)
	}
}

func TestSecretInAPath(t *testing.T) {
	target := &answering{}
	req := request(t, "GET", "https://erp.test/a%2Fb/"+mark+"/c", "", line(proto.FillInURI, escape.URI))
	resp, err := storeOf(t, `k "ä?#`).Wrap(target).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := target.got[0].URL.RequestURI(); got != "/a%2Fb/k%20%22%C3%A4%3F%23/c" {
		t.Error(got)
	}
}

// What a caller or an application writes is never filled in, whatever it looks
// like: no placeholder, no mark of another request, none in another place.
func TestNothingElseIsFilledIn(t *testing.T) {
	const placeholder = "{{agent.secret.p}}"
	old := strings.Replace(mark, "ABC", "ZZZ", 1)
	for name, lines := range map[string][]proto.Fill{
		"no options":    nil,
		"another place": {line(proto.FillInHeader+"X-Key", escape.Header)},
	} {
		t.Run(name, func(t *testing.T) {
			target := &answering{}
			body := placeholder + old
			if lines != nil {
				body += mark // in the body, where it is not named
			}
			req := request(t, "POST", "https://erp.test/"+url.PathEscape(placeholder)+"?q="+old, body, lines...)
			req.Header.Set("X-Mine", placeholder+old)
			resp, err := storeOf(t, "hunter2!").Wrap(target).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			got := target.got[0]
			if got.body != body || strings.Contains(got.URL.String()+got.Header.Get("X-Mine"), "hunter2") {
				t.Errorf("got %s %v %s", got.URL, got.Header, got.body)
			}
		})
	}
}

func TestBasicCredentialsAreEncodedHere(t *testing.T) {
	target := &answering{}
	req := request(t, "GET", "https://erp.test/", "", line(proto.FillInHeader+"Authorization", escape.Basic))
	req.Header.Set("Authorization", "Basic svc:"+mark)
	resp, err := storeOf(t, awkward).Wrap(target).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if user, password, ok := target.got[0].BasicAuth(); !ok || user != "svc" || password != awkward {
		t.Errorf("Authorization %q", target.got[0].Header.Get("Authorization"))
	}
	if want := base64.StdEncoding.EncodeToString([]byte("svc:" + awkward)); target.got[0].Header.Get("Authorization") != "Basic "+want {
		t.Error(target.got[0].Header)
	}
}

func TestSecretsGoToTheirOwnHostsOnly(t *testing.T) {
	for _, test := range []struct {
		hosts []string
		url   string
		host  string // of the Host field, where it differs
		ok    bool
	}{
		{nil, "https://anything.test/", "", true},
		{[]string{"erp.test"}, "https://erp.test/", "", true},
		{[]string{"erp.test"}, "https://ERP.test.:8443/", "", true},
		{[]string{"erp.test:443"}, "https://erp.test:8443/", "", false},
		{[]string{"erp.test"}, "https://evil.test/", "", false},
		{[]string{"erp.test"}, "https://erp.test@evil.test/", "", false},
		{[]string{"a.test", "*.plant2.test"}, "https://erp.plant2.test/", "", true},
		{[]string{"erp.test"}, "https://erp.test/", "evil.test", false},
		{[]string{"erp.test"}, "https://evil.test/", "erp.test", false},
		{[]string{"10.1.2.3"}, "http://10.1.2.3:8080/", "", true},
		{[]string{"erp.test"}, "http://10.1.2.3/", "", false},
	} {
		target := &answering{}
		req := request(t, "GET", test.url+"?k="+mark, "", line(proto.FillInURI, escape.URI))
		if test.host != "" {
			req.Host = test.host
		}
		resp, err := storeOf(t, "hunter2!", test.hosts...).Wrap(target).RoundTrip(req)
		if test.ok {
			if err != nil {
				t.Errorf("%v, %s: %v", test.hosts, test.url, err)
				continue
			}
			_ = resp.Body.Close()
			continue
		}
		e := wantError(t, err, proto.CodePolicyDenied, proto.ReasonSecretHost, "hunter2")
		if e.Facts["secret"] != "p" || len(target.got) != 0 {
			t.Errorf("%v, %s: facts %v, sent %d", test.hosts, test.url, e.Facts, len(target.got))
		}
	}
}

func TestNothingIsSentWhereASecretCannotStand(t *testing.T) {
	for name, test := range map[string]struct {
		value string
		line  proto.Fill
		url   string
	}{
		"line break in a header": {"hunter2!\nX-Evil: 1", line(proto.FillInHeader+"X-Key", escape.Header), "https://erp.test/"},
		"not UTF-8 in JSON":      {"hunter2!\xff", line(proto.FillInBody, escape.JSON), "https://erp.test/"},
		"slash in a path":        {"hunter2!/../x", line(proto.FillInURI, escape.URI), "https://erp.test/" + mark},
		"dots in a path":         {"..", line(proto.FillInURI, escape.URI), "https://erp.test/" + mark},
		"unknown escape":         {"hunter2!", line(proto.FillInBody, "rot13"), "https://erp.test/"},
	} {
		t.Run(name, func(t *testing.T) {
			target := &answering{}
			req := request(t, "POST", test.url, mark, test.line)
			req.Header.Set("X-Key", mark)
			_, err := storeOf(t, test.value).Wrap(target).RoundTrip(req)
			wantError(t, err, proto.CodeSecretUnavailable, proto.ReasonSecretValue, "hunter2")
			if len(target.got) != 0 {
				t.Error("it was sent")
			}
		})
	}
	t.Run("slash in a query", func(t *testing.T) {
		req := request(t, "GET", "https://erp.test/?k="+mark, "", line(proto.FillInURI, escape.URI))
		target := &answering{}
		resp, err := storeOf(t, "a/../b").Wrap(target).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if target.got[0].URL.Query().Get("k") != "a/../b" {
			t.Error(target.got[0].URL)
		}
	})
}

func TestOptionsThatCannotBeReadAreRefused(t *testing.T) {
	req := request(t, "GET", "https://erp.test/", "")
	req.Header.Set(proto.HeaderFill, "short body json p")
	_, err := storeOf(t, "hunter2!").Wrap(&answering{}).RoundTrip(req)
	if e := proto.AsError(err); e == nil || e.Code != proto.CodeValidation {
		t.Errorf("got %v", err)
	}
}

func TestOtherRequestsPassAsTheyAre(t *testing.T) {
	target := &answering{}
	req := request(t, "POST", "https://erp.test/", "x")
	resp, err := storeOf(t, "hunter2!").Wrap(target).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if target.got[0].Request != req {
		t.Error("a copy was made")
	}
}

func TestUnknownSecret(t *testing.T) {
	l := line(proto.FillInBody, escape.JSON)
	l.Secret = "q"
	closed := &closing{Reader: strings.NewReader(mark)}
	req := request(t, "POST", "https://erp.test/", "", l)
	req.Body = closed
	_, err := storeOf(t, "hunter2!").Wrap(&answering{}).RoundTrip(req)
	e := wantError(t, err, proto.CodeSecretUnavailable, proto.ReasonSecretUnknown)
	if e.Facts["secret"] != "q" || !strings.Contains(e.Hint, "agent.yaml") || !closed.closed {
		t.Errorf("%+v, body closed: %v", e, closed.closed)
	}
}

type closing struct {
	*strings.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

var _ http.RoundTripper = (*answering)(nil)
