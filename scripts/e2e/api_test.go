package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// object is a JSON object as a client writes it.
type object map[string]any

// with is a copy of o with some fields changed.
func (o object) with(changes object) object {
	c := object{}
	for k, v := range o {
		c[k] = v
	}
	for k, v := range changes {
		c[k] = v
	}
	return c
}

// testResult is the answer to a test of a connection.
type testResult struct {
	OK    bool `json:"ok"`
	Steps []struct {
		Name    string `json:"name"`
		Status  string `json:"status"`
		Code    string `json:"code"`
		Message string `json:"message"`
		Hint    string `json:"hint"`
	} `json:"steps"`
	Session *struct {
		ID string `json:"id"`
	} `json:"session"`
}

// statuses is "agent ok, sign-in ok, ping ok".
func (r testResult) statuses() string {
	var parts []string
	for _, s := range r.Steps {
		parts = append(parts, s.Name+" "+s.Status)
	}
	return strings.Join(parts, ", ")
}

// test tests a connection that is not saved.
func (s *stage) test(t *testing.T, connection object) testResult {
	t.Helper()
	var r testResult
	if err := s.api.Do(within(t, time.Minute), "POST", "/api/v1/connections/test", connection, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// save saves a connection and returns its id.
func (s *stage) save(t *testing.T, connection object) string {
	t.Helper()
	var c struct {
		ID string `json:"id"`
	}
	if err := s.api.Do(within(t, time.Minute), "POST", "/api/v1/connections", connection, &c); err != nil {
		t.Fatal(err)
	}
	return c.ID
}

// sessionID is the id of a connection's stored session.
func (s *stage) sessionID(t *testing.T, connectionID string) string {
	t.Helper()
	var session struct {
		ID string `json:"id"`
	}
	if err := s.api.Do(within(t, time.Minute), "GET", "/api/v1/connections/"+connectionID+"/session", nil, &session); err != nil {
		t.Fatal(err)
	}
	return session.ID
}

// proxyRequest is a request through a saved connection.
func (s *stage) proxyRequest(t *testing.T, method, connectionID, path string, body io.Reader) *http.Request {
	t.Helper()
	r, err := s.api.Request(within(t, 2*time.Minute), method, "/api/v1/connections/"+connectionID+"/proxy"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// answer is a whole answer.
type answer struct {
	*http.Response
	body string
}

// code is the code of an answer that Sallyport made, "" for the application's.
func (a answer) code() string { return a.Header.Get("Sallyport-Error") }

// send sends a request and reads the whole answer.
func (s *stage) send(t *testing.T, r *http.Request) answer {
	t.Helper()
	res, err := s.api.HTTP.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res, string(b)}
}

// get sends a GET through a saved connection.
func (s *stage) get(t *testing.T, connectionID, path string) answer {
	t.Helper()
	return s.send(t, s.proxyRequest(t, "GET", connectionID, path, nil))
}
