package policy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func suggested(t testing.TB, lines ...string) (rules []string, s *Suggester) {
	t.Helper()
	s = &Suggester{}
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	var ledger strings.Builder
	for i, line := range lines {
		method, url, _ := strings.Cut(line, " ")
		raw, err := json.Marshal(Sent{Time: at.Add(time.Duration(i) * time.Minute), Method: method, URL: url, Status: 200, Decision: "allowed"})
		if err != nil {
			t.Fatal(err)
		}
		ledger.Write(append(raw, '\n'))
	}
	if err := s.ReadLines(strings.NewReader(ledger.String()+`{"method":"GET","url":"https://cut`), Answered); err != nil {
		t.Fatal(err)
	}
	for _, sg := range s.Suggest() {
		rules = append(rules, sg.Rule.String())
	}
	return rules, s
}

func TestSuggestionsAreFewAndReadable(t *testing.T) {
	for name, c := range map[string]struct{ sent, want []string }{
		"ids":    {[]string{"GET https://erp.test/api/orders/1", "GET https://erp.test/api/orders/2?x=*", "HEAD https://erp.test/api/orders/3"}, []string{"allow GET https://erp.test/api/orders/*"}},
		"method": {[]string{"GET https://erp.test/api/me", "POST https://erp.test/api/me"}, []string{"allow GET,POST https://erp.test/api/me"}},
		"hosts":  {[]string{"GET https://erp.test:8443/x", "GET http://erp.test/x", "GET http://10.1.2.3/x", "GET http://[fd00::1]:81/x"}, []string{"allow GET http://[10.1.2.3]/x", "allow GET http://[fd00::1]:81/x", "allow GET http://erp.test/x", "allow GET https://erp.test:8443/x"}},
		"folder": {[]string{"GET https://erp.test/api/a", "GET https://erp.test/api/b", "GET https://erp.test/api/c", "GET https://erp.test/api/d/e", "GET https://erp.test/api/f", "POST https://erp.test/api/f", "GET https://erp.test/health"},
			[]string{"allow GET https://erp.test/api/**", "allow POST https://erp.test/api/f", "allow GET https://erp.test/health"}},
		"many": {[]string{"GET https://e.test/a", "GET https://e.test/b", "GET https://e.test/c", "GET https://e.test/d", "GET https://e.test/e", "GET https://e.test/f", "GET https://e.test/g", "GET https://e.test/h", "GET https://e.test/i", "DELETE https://e.test/i"},
			[]string{"allow GET https://e.test", "allow DELETE https://e.test/i"}},
		"uuids":   {[]string{"PUT https://e.test/x/7b0e6a1c-52a7-4c7e-9d3b-1f2e3d4c5b6a/y", "PUT https://e.test/v2/PO-2026-0042", "PUT https://e.test/f/20260131.csv"}, []string{"allow PUT https://e.test/f/*.csv", "allow PUT https://e.test/v2/*", "allow PUT https://e.test/x/*/y"}},
		"root":    {[]string{"GET https://e.test", "GET https://e.test/"}, []string{"allow GET https://e.test/"}},
		"words":   {[]string{"GET https://e.test/oauth2/token", "GET https://e.test/sha256/list"}, []string{"allow GET https://e.test/oauth2/token", "allow GET https://e.test/sha256/list"}},
		"odd":     {[]string{"GET ftp://e.test/x", "GET https://e.test/a/../b", "GET nonsense", "GET https://e.test/long…"}, nil},
		"secrets": {[]string{"GET https://e.test/t/{{agent.secret.key}}/x", "GET https://e.test/t/agent.secret.key.abcdefghijklmnop_0_/x"}, []string{"allow GET https://e.test/t/*/x"}},
		"slashes": {[]string{"GET https://git.test/projects/a%2Fb/x"}, []string{"allow GET https://git.test/projects/**"}},
	} {
		rules, s := suggested(t, c.sent...)
		if strings.Join(rules, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(rules, "\n"), strings.Join(c.want, "\n"))
		}
		if name == "odd" && s.Skipped() != 4 {
			t.Errorf("%d were skipped", s.Skipped())
		}
	}
}

func TestSuggestionsCountWhatTheyAllow(t *testing.T) {
	_, s := suggested(t, "GET https://e.test/orders/1", "GET https://e.test/orders/2", "POST https://e.test/orders")
	got := fmt.Sprintf("%d %d %s", s.Suggest()[0].Requests, s.Suggest()[1].Requests, s.Suggest()[1].Last.Format(time.Kitchen))
	if want := "1 2 9:01AM"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOnlyWhatWasAnsweredIsSuggested(t *testing.T) {
	for _, sent := range []Sent{{Status: 0}, {Status: 404}, {Status: 200, Decision: "denied"}} {
		if Answered(&sent) {
			t.Errorf("%+v", sent)
		}
	}
	s := &Suggester{}
	if err := s.ReadLines(strings.NewReader("nonsense\n{}\n"), Answered); err != nil || s.Unreadable() != 1 {
		t.Errorf("%v, %d lines are unreadable", err, s.Unreadable())
	}
}

// Rules that are suggested for requests allow each of them.
func TestSuggestionsAllowWhatWasSent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &Suggester{}
		var requests []*http.Request
		segment := rapid.OneOf(rapid.SampledFrom([]string{"api", "orders", "42", "Orders(7)", "a%20b", "x%2Fy", "100%25", "é", "a;v=1", "20260131.csv", "v1", "*", ""}), rapid.StringMatching(`[a-f0-9]{1,12}`))
		for range rapid.IntRange(1, 25).Draw(t, "requests") {
			line := rapid.SampledFrom([]string{"GET", "POST", "PURGE"}).Draw(t, "method") + " " + rapid.SampledFrom([]string{"https://a.test", "http://10.1.2.3", "http://a.test:8080"}).Draw(t, "origin") +
				"/" + strings.Join(rapid.SliceOfN(segment, 0, 4).Draw(t, "path"), "/")
			method, url, _ := strings.Cut(line, " ")
			req, err := http.NewRequest(method, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			requests = append(requests, req)
			s.Add(&Sent{Method: method, URL: url, Status: 200})
		}
		var source Source
		for _, sg := range s.Suggest() {
			source.Rules = append(source.Rules, Line{Text: sg.Rule.String()})
		}
		p, err := New(source)
		if err != nil {
			t.Fatal(err)
		}
		for _, req := range requests {
			var a asked
			a.ask(req)
			d := p.decide(&a)
			if addr := netip.MustParseAddr("10.1.2.3"); !d.at(addr).allowed {
				t.Fatalf("%s %s is not allowed by\n%s", req.Method, req.URL, p)
			}
		}
	})
}
