package health

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/probe"
	"sallyport/relay/store"
)

func TestWhatHasChangedIsNamed(t *testing.T) {
	ends := time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC)
	saved := time.Date(2026, 3, 1, 9, 5, 0, 0, time.UTC)
	shape := func(paths ...string) *probe.Shape {
		return &probe.Shape{Digest: strings.Join(paths, ","), Paths: paths}
	}
	before := look{
		Version: 3, Machines: map[string]string{"gw-1": "1.0.0", "gw-2": "1.0.0"},
		Certificate: &proto.Certificate{Fingerprint: strings.Repeat("a", 64), Subject: "erp", Issuer: "Plant CA", NotAfter: ends},
		Answer:      &probe.Answer{Status: 200, ContentType: "application/json", Shape: shape("$ object", "ok boolean", "user string")},
	}
	with := func(change func(*look)) look {
		now := before
		change(&now)
		return now
	}
	saves := []store.Entry{
		{Action: "connection.update", ActorName: "Ada", At: saved, Detail: "base URI, secret password"},
		{Action: "connection.sign_out", ActorName: "Bob", At: saved},
	}
	for name, c := range map[string]struct {
		now   look
		mode  connection.Mode
		kinds []string
		words []string
	}{
		"nothing":            {before, connection.OnPremise, nil, nil},
		"nothing is known":   {look{Version: 3, Machines: before.Machines}, connection.OnPremise, nil, nil},
		"the configuration":  {with(func(l *look) { l.Version = 5 }), connection.OnPremise, []string{Configuration}, []string{"Ada saved", "base URI, secret password", "1 March 2026 at 09:05"}},
		"the agent":          {with(func(l *look) { l.Machines = map[string]string{"gw-1": "1.1.0", "gw-2": "1.0.0"} }), connection.OnPremise, []string{AgentVersion}, []string{"gw-1 went from version 1.0.0 to 1.1.0"}},
		"the machines":       {with(func(l *look) { l.Machines = map[string]string{"gw-1": "1.0.0", "gw-3": "1.1.0"} }), connection.OnPremise, []string{Machine, Machine}, []string{"gw-2", "gw-3"}},
		"machines of nobody": {with(func(l *look) { l.Machines = nil }), connection.Cloud, nil, nil},
		"the certificate": {with(func(l *look) {
			l.Certificate = &proto.Certificate{Fingerprint: strings.Repeat("b", 64), Subject: "erp", Issuer: "New CA", NotAfter: ends}
		}), connection.Cloud, []string{Certificate}, []string{"bbbbbbbbbbbbbbbb…", "2 January 2027", "New CA", "Plant CA"}},
		"the answer": {with(func(l *look) {
			l.Answer = &probe.Answer{Status: 401, ContentType: "text/html", Shape: shape("$ object", "error string", "ok boolean")}
		}), connection.Cloud, []string{Response, Response, Response}, []string{"401", "text/html", "new: error string; gone: user string"}},
		"a page in place of a document": {with(func(l *look) { l.Answer = &probe.Answer{Status: 200, ContentType: "text/html"} }), connection.Cloud, []string{Response}, []string{"text/html", "application/json"}},
	} {
		got := differences(&before, c.now, c.mode, saves)
		var kinds []string
		text := ""
		for _, d := range got {
			kinds = append(kinds, d.Kind)
			text += d.Text + "\n"
		}
		if !slices.Equal(kinds, c.kinds) {
			t.Errorf("%s: %v, want %v", name, kinds, c.kinds)
		}
		for _, word := range c.words {
			if !strings.Contains(text, word) {
				t.Errorf("%s: %q lacks %q", name, text, word)
			}
		}
	}
	if got := differences(nil, before, connection.Cloud, saves); got != nil {
		t.Errorf("what never worked differs from nothing: %v", got)
	}
}

func TestThatACertificateIsNewIsToldThoughItsFingerprintIsShort(t *testing.T) {
	if got := certificates(proto.Certificate{Fingerprint: "a"}, proto.Certificate{Fingerprint: "b"}); len(got) != 1 {
		t.Errorf("%v", got)
	}
}
