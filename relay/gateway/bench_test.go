package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/road"
)

// instant is a road that answers at once.
type instant struct{}

func (instant) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: 11, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}, "Content-Length": {"11"}, "Date": {"Thu, 26 Nov 2026 01:00:00 GMT"}, proto.HeaderTiming: {"wait=1200,tunnel=300"}},
		Body:   io.NopCloser(strings.NewReader(`{"ok":true}`)),
	}, nil
}

// theEdges are the fields that every answer of a relay has.
var theEdges = []string{"X-Request-Id", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy"}

// BenchmarkSmallGet is what the gateway itself costs a request of a connection
// that asks for nothing special.
func BenchmarkSmallGet(b *testing.B) {
	g := New(Options{Roads: road.New(instant{}, nil), Sessions: newSite(b, nil).keeper})
	c := &connection.Connection{ID: "con_1", WorkspaceID: "wsp_1", Spec: connection.Spec{
		Mode: connection.Cloud, BaseURI: "https://erp.example.com/api", MediaType: connection.JSON, Auth: connection.Auth{Type: connection.AuthNone},
	}}
	r := httptest.NewRequest("GET", prefix+"/orders?open=1", nil)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "bench")
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		for _, name := range theEdges {
			w.Header()[name] = theEdges[:1]
		}
		g.Serve(w, r, c, Caller{Kind: "token", ID: "tok_1", Name: "bench"}, "/orders", "open=1", "req-1")
	}
}
