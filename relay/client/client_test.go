package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/proto"
	"sallyport/relay/connection"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answering is a client of a server that answers as f does.
func answering(t *testing.T, f http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &Client{Base: server.URL, Token: "secret", HTTP: &http.Client{Transport: transport}}
}

func TestListsGoOnUntilTheLastPageOrTheCallerStops(t *testing.T) {
	asked := 0
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		switch r.URL.Query().Get("cursor") {
		case "":
			fmt.Fprint(w, `{"items":[{"id":"1"},{"id":"2"}],"nextCursor":"b&c"}`)
		case "b&c":
			fmt.Fprint(w, `{"items":[{"id":"3"}],"nextCursor":"d"}`)
		default:
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"code":"forbidden","detail":"Not you."}`)
		}
	})
	var ids string
	var last error
	for a, err := range c.Agents(t.Context(), ListOptions{}) {
		if last = err; err == nil {
			ids += a.ID
		}
	}
	if ids != "123" || !Is(last, proto.CodeForbidden) || asked != 3 {
		t.Errorf("got %s, %v, %d pages", ids, last, asked)
	}
	asked = 0
	for range c.Agents(t.Context(), ListOptions{}) {
		break
	}
	if asked != 1 {
		t.Errorf("%d pages for one item", asked)
	}
}

func TestErrorsSayWhatTheRelayOrSomethingElseAnswered(t *testing.T) {
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/me":
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprint(w, `{"code":"validation","detail":"Two fields are faulty.","hint":"Mend them.","errors":[{"path":"name","message":"Give it a name."},{"path":"mode","message":"Choose one."}]}`)
		default:
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprint(w, "<html>  nginx\n</html>")
		}
	})
	_, err := c.Me(t.Context())
	e := AsError(err)
	if e == nil || e.Code != proto.CodeValidation || e.Status != 422 || len(e.Errors) != 2 || e.RetryAfter != 7*time.Second {
		t.Fatalf("%+v", err)
	}
	for _, want := range []string{"GET /api/v1/me", "Two fields", "mode: Choose one.", "Mend them."} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	_, err = c.Tokens(t.Context())
	if e = AsError(err); e == nil || e.Code != "" || e.Status != 502 || !strings.Contains(e.Detail, "nginx") || e.Hint == "" {
		t.Errorf("%+v", err)
	}
	if Is(err, proto.CodeValidation) || AsError(io.EOF) != nil {
		t.Error("an error is taken for another")
	}
}

func TestTestTellsItsStepsAsTheyHappen(t *testing.T) {
	cut := false
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, ": keep-alive\n\nevent: step\ndata: {\"name\":\"agent\",\"status\":\"running\"}\n\nevent: step\ndata: {\"name\":\"agent\",\ndata: \"status\":\"ok\"}\n\n")
		if !cut {
			fmt.Fprint(w, "event: result\ndata: {\"ok\":true,\"steps\":[{\"name\":\"agent\",\"status\":\"ok\"}]}\n\n")
		}
	})
	var told []string
	note := func(s TestStep) { told = append(told, s.Name+" "+s.Status) }
	result, err := c.TestSaved(t.Context(), "1", note)
	if err != nil || !result.OK || strings.Join(told, ", ") != "agent running, agent ok" {
		t.Errorf("%v %+v %v", err, result, told)
	}
	cut = true
	if _, err := c.TestSaved(t.Context(), "1", note); !errors.Is(err, errEarly) {
		t.Errorf("a stream that is cut: %v", err)
	}
}

func TestEventsEndWithTheirContext(t *testing.T) {
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "event: sync\ndata: {}\n\nevent: agent\ndata: {\"type\":\"agent\",\"id\":\"agt_1\"}\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	var got []Event
	for e, err := range c.Events(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, e); len(got) == 2 {
			cancel()
		}
	}
	cancel()
	if len(got) != 2 || got[0].Type != "sync" || got[1] != (Event{Type: "agent", ID: "agt_1"}) {
		t.Errorf("%+v", got)
	}
}

func TestRequestsGoThroughAConnectionAsTheyAre(t *testing.T) {
	var seen *http.Request
	var sent string
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		seen, sent = r, string(text)
		switch r.URL.Path {
		case "/api/v1/connections/con 1/proxy/away":
			http.Redirect(w, r, "https://erp.internal/elsewhere", http.StatusFound)
		case "/api/v1/connections/con 1/proxy/down":
			w.Header().Set(proto.HeaderError, "agent_offline")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"code":"agent_offline","detail":"No machine of it is connected.","outcome":"not_sent"}`)
		case "/api/v1/connections/con 1/proxy/teapot":
			w.WriteHeader(http.StatusTeapot)
		}
	})
	erp := c.ThroughConnection("con 1")
	for _, path := range []string{"", "/", "/orders/7", "//orders/a%2Fb/", "/orders?q=a%26b&&x=/../y", "/a+b%20c?"} {
		resp, err := erp.Get("http://erp" + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if want := "/api/v1/connections/con%201/proxy" + path; seen.RequestURI != want {
			t.Errorf("%q arrived as %s", path, seen.RequestURI)
		}
	}
	req, _ := http.NewRequestWithContext(t.Context(), "PATCH", "http://erp/teapot", strings.NewReader("milk"))
	req.Header.Set("Authorization", "Bearer of something else")
	resp, err := erp.Do(req)
	if err != nil || resp.StatusCode != http.StatusTeapot {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
	if seen.Method != "PATCH" || sent != "milk" || seen.Header.Get("Authorization") != "Bearer secret" || req.Header.Get("Authorization") != "Bearer of something else" {
		t.Errorf("%s %q %v", seen.Method, sent, seen.Header)
	}
	if resp, err = erp.Get("http://erp/away"); err != nil || resp.StatusCode != http.StatusFound {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
	_, err = erp.Get("http://erp/down")
	if e := AsError(err); e == nil || e.Code != proto.CodeAgentOffline || e.Outcome != proto.OutcomeNotSent {
		t.Errorf("%v", err)
	}
}

func TestASecretIsWrittenAndNeverShown(t *testing.T) {
	for want, s := range map[string]Secret{
		`{"set":true}`: {},
		`"hunter2"`:    Value("hunter2"),
		`null`:         Removed(),
	} {
		text, err := json.Marshal(map[string]Secret{"p": s})
		if err != nil || string(text) != `{"p":`+want+`}` {
			t.Errorf("%s %v, want %s", text, err, want)
		}
		var back map[string]Secret
		if err := json.Unmarshal(text, &back); err != nil {
			t.Error(err)
		}
		if again, _ := json.Marshal(back); string(again) != string(text) {
			t.Errorf("%s became %s", text, again)
		}
		c := Connection{Spec: connection.Spec{Name: "ERP"}, Secrets: back}
		if shown := fmt.Sprintf("%v %+v %#v %s", c, c, c, back["p"]); strings.Contains(shown, "hunter2") {
			t.Errorf("shown: %s", shown)
		}
	}
	var s Secret
	if err := json.Unmarshal([]byte(`{"value":"hunter2"}`), &s); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

func TestAwaitingGivesUpWithWhatItSawLast(t *testing.T) {
	looks := 0
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		looks++
		switch {
		case r.URL.Path == "/readyz" && looks < 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path != "/readyz":
			fmt.Fprint(w, `{"status":"offline"}`)
		}
	})
	if err := c.AwaitReady(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.AwaitAgent(t.Context(), "1", "offline"); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := c.AwaitAgent(ctx, "1", "online"); err == nil || !strings.Contains(err.Error(), "offline") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
