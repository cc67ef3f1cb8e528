package health

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/outbound"
	"sallyport/internal/testkit"
	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/mail"
)

func courier(t *testing.T, allow ...string) *Courier {
	t.Helper()
	exceptions, err := outbound.ParseAllow(allow)
	must(t, err)
	road := outbound.New(outbound.Options{Guard: true, AllowPrivate: exceptions})
	t.Cleanup(road.Close)
	return &Courier{Road: road, PublicURL: &url.URL{Scheme: "https", Host: "relay.example.com"}, Clock: func() time.Time { return time.Unix(1700000000, 0) }}
}

func TestAWebhookIsCalledOverTheGuardedRoad(t *testing.T) {
	var got http.Header
	var path, body string
	status, location := http.StatusNoContent, ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		got, path, body = r.Header.Clone(), r.RequestURI, string(text)
		if location != "" {
			w.Header().Set("Location", location)
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	c := &connection.Connection{ID: "con_1", Secrets: map[string]string{"hook": "a/b", "sign": "whsec_c2lnbmluZyBrZXk=", "plain": "signing key"},
		Spec: connection.Spec{Name: "ERP", Health: &connection.Health{Webhook: server.URL + "/{{secret.hook}}", WebhookSecret: "sign"}}}

	if err := courier(t).post(t.Context(), c, "ntc_1", []byte(`{}`)); err == nil || path != "" || strings.Contains(err.Error(), "a/b") {
		t.Fatalf("a private address was called: %v, %q", err, path)
	}
	open := courier(t, "loopback")
	must(t, open.post(t.Context(), c, "ntc_1", []byte(`{"a":1}`)))
	if path != "/a%2Fb" || body != `{"a":1}` || got.Get("Content-Type") != "application/json" || got.Get("webhook-id") != "ntc_1" || got.Get("webhook-timestamp") != "1700000000" {
		t.Errorf("%s %s %v", path, body, got)
	}
	signed := got.Get("webhook-signature")
	if !strings.HasPrefix(signed, "v1,") {
		t.Errorf("signature %q", signed)
	}
	c.Health.WebhookSecret = "plain" // the same key, written plainly
	must(t, open.post(t.Context(), c, "ntc_1", []byte(`{"a":1}`)))
	if got.Get("webhook-signature") != signed {
		t.Errorf("signature %q, want %q", got.Get("webhook-signature"), signed)
	}
	c.Health.WebhookSecret = ""
	must(t, open.post(t.Context(), c, "ntc_1", []byte(`{"a":1}`)))
	if _, there := got["Webhook-Signature"]; there {
		t.Error("signed without a secret")
	}

	status, location = http.StatusFound, "/elsewhere"
	if err := open.post(t.Context(), c, "ntc_1", nil); err == nil || !strings.Contains(err.Error(), "302") || path == "/elsewhere" {
		t.Errorf("a redirect: %v, %s", err, path)
	}
	server.Close()
	if err := open.post(t.Context(), c, "ntc_1", nil); err == nil || strings.Contains(err.Error(), "a%2Fb") {
		t.Errorf("nobody listens: %v", err)
	}
	c.Health = nil
	if err := open.post(t.Context(), c, "ntc_1", nil); err == nil {
		t.Error("a webhook that was taken out was called")
	}
}

func TestATestNoticeSaysWhatCameOfEach(t *testing.T) {
	a := &app{}
	r := start(t, a, "", "", time.Hour) // its first round is over before anything is due
	defer r.stop()
	smtp := testkit.StartSMTP(t, testkit.SMTPOptions{})
	id := r.save(spec(func(s *connection.Spec) { s.Health.Emails = []string{"ada@example.com"} }))

	sent, err := r.watch.SendTest(t.Context(), r.admin, id)
	must(t, err)
	if len(sent) != 2 || sent[0].Failure != "" || sent[0].Recipient != "hooks.example.com" || !strings.Contains(sent[1].Failure, "smtp-url") {
		t.Errorf("%+v", sent)
	}
	r.watch.Courier.Mail = mail.NewSender(mail.Server{Host: "localhost", Port: smtp.Port, Secure: mail.Opportunistic, From: "relay@example.com"}, nil)
	a.deaf.Store(true)
	sent, err = r.watch.SendTest(t.Context(), r.admin, id)
	must(t, err)
	if len(sent) != 2 || !strings.Contains(sent[0].Failure, "503") || sent[1].Failure != "" || sent[1].Recipient != "ada@example.com" {
		t.Errorf("%+v", sent)
	}
	mails := smtp.Mails(t)
	if len(mails) != 1 || mails[0].Header.Get("Subject") != "Test notice about Plant 2 ERP" {
		t.Errorf("%d mails", len(mails))
	}
	if notices := a.notices(t); len(notices) != 2 || notices[0].Type != TypeTest {
		t.Errorf("%+v", notices)
	}
	quiet := r.save(spec(func(s *connection.Spec) { s.Health = nil }))
	if _, err := r.watch.SendTest(t.Context(), r.admin, quiet); err == nil {
		t.Error("a test notice to nobody")
	}

	r.watch.Courier.Mail = nil
	for range testNotices - 2 {
		_, err = r.watch.SendTest(t.Context(), r.admin, id)
		must(t, err)
	}
	_, err = r.watch.SendTest(t.Context(), r.admin, id)
	if e := proto.AsError(err); e == nil || e.Code != proto.CodeTooManyRequests || e.Facts["retryAfter"] == "" {
		t.Errorf("one too many: %v", err)
	}
}

func TestALetterSaysWhatHasChanged(t *testing.T) {
	n := Notice{Type: TypeFailing, Connection: Subject{Name: "Plant 2 ERP", URL: "https://relay.example.com/connections/con_1"}, State: Failing, Was: Online,
		Since: "2026-03-01T09:00:00Z", LastWorked: "2026-03-01T08:55:00Z", Message: "The ping was answered 500 Internal Server Error."}
	n.Text = n.sentence()
	for _, c := range []struct {
		differences []Difference
		words       string
	}{
		{nil, "Nothing that the relay knows of has changed"},
		{[]Difference{{Kind: Configuration, Text: "Ada saved the connection."}}, "- Ada saved the connection."},
	} {
		n.Differences = c.differences
		text := n.letter()
		for _, words := range []string{c.words, "“Plant 2 ERP” is failing since 2026-03-01T09:00:00Z. The ping was answered 500", "Last worked:  2026-03-01T08:55:00Z", "https://relay.example.com/connections/con_1"} {
			if !strings.Contains(text, words) {
				t.Errorf("%q lacks %q", text, words)
			}
		}
	}
	for kind, want := range map[string]string{TypeFailing: "Plant 2 ERP is failing", TypeOnline: "Plant 2 ERP works again", TypeUnsettled: "Plant 2 ERP keeps changing, and is failing now", TypeUnknown: "Plant 2 ERP is not watched any more"} {
		n.Type = kind
		if got := n.subjectLine(); got != want {
			t.Errorf("%s: %q", kind, got)
		}
	}
}
