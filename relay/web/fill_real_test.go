package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// recorder stands between a browser and an application, and writes down what
// passes as a HAR file has it.
type recorder struct {
	*httptest.Server
	mu      sync.Mutex // guards entries
	entries []map[string]any
}

func record(t *testing.T, port int) *recorder {
	t.Helper()
	target, err := url.Parse(fmt.Sprintf("http://127.0.0.1:%d", port))
	must(t, err)
	r := &recorder{}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		p.Out.Host = p.In.Host
		p.Out.Header.Del("Accept-Encoding") // what is written down can then be read
	}, ModifyResponse: r.note}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), bodyKey{}, string(body))))
	}))
	t.Cleanup(r.Close)
	return r
}

// bodyKey is where a request keeps what its body was.
type bodyKey struct{}

func (r *recorder) note(resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	req := resp.Request
	entry := map[string]any{
		"request":  map[string]any{"method": req.Method, "url": r.URL + req.URL.RequestURI(), "headers": fields(req.Header)},
		"response": map[string]any{"status": resp.StatusCode, "headers": fields(resp.Header), "content": map[string]any{"mimeType": resp.Header.Get("Content-Type"), "text": string(body)}},
	}
	if sent, _ := req.Context().Value(bodyKey{}).(string); sent != "" {
		entry["request"].(map[string]any)["postData"] = map[string]any{"mimeType": req.Header.Get("Content-Type"), "text": sent}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries = append(r.entries, entry)
	return nil
}

func fields(h http.Header) []map[string]string {
	all := []map[string]string{}
	for name, values := range h {
		for _, value := range values {
			all = append(all, map[string]string{"name": name, "value": value})
		}
	}
	return all
}

// har is the file so far.
func (r *recorder) har(t *testing.T) string {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	text, err := json.Marshal(map[string]any{"log": map[string]any{"version": "1.2", "entries": r.entries}})
	must(t, err)
	return string(text)
}

// A person signs in to Django's administration with a browser, which is recorded;
// the recording alone makes a connection that signs in, token against forged
// requests included.
func TestALoginToARealApplicationIsRecordedAndWorks(t *testing.T) {
	django := testkit.StartDjango(t, nil)
	recorded := record(t, django.Port)
	person := &tab{testkit.NewTab(t, recorded.URL, 4*time.Minute)}
	person.Open("/admin/")
	person.WaitFor(`document.querySelector("[name=password]") !== null`)
	person.JS(fmt.Sprintf(`document.querySelector("[name=username]").value = %q, document.querySelector("[name=password]").value = %q, document.querySelector("#login-form").submit(), true`, django.User, django.Password))
	person.WaitFor(`document.querySelector("#user-tools") !== null`)

	r := newRig(t)
	form := untouched("fill")
	form.Set("fill.text", recorded.har(t))
	c := r.client()
	a := c.post("/connections/new", form)
	a.contains(t, "The form was filled in", `value="/admin/login/`, "csrfmiddlewaretoken={{signin.csrfmiddlewaretoken}}", "csrfmiddlewaretoken = field csrfmiddlewaretoken", "{{secret.password}}", "it is fetched anew for each sign-in")

	tb := r.tab()
	tb.signIn(r)
	tb.Open("/connections/new")
	tb.Press("#fill summary")
	literal, err := json.Marshal(recorded.har(t))
	must(t, err)
	tb.JS(`document.getElementById("f-fill.text").value = ` + string(literal) + `, true`)
	tb.Press(`button[value="fill"]`)
	tb.WaitFor(`document.querySelector("#fill .filled") !== null`)
	tb.Press(`.choice:nth-child(1)`) // the relay's own machine, though it looks like a site of its own
	tb.Press(`.bar button[value="test"]`)
	tb.WaitFor(`document.querySelector("#said")?.textContent.includes("Test passed")`)
}
