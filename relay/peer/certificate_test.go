package peer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// papersOf are the papers of a relay, by an authority as it is kept.
func papersOf(t *testing.T, kept []byte, relayID string, clock func() time.Time) *papers {
	t.Helper()
	a, err := openAuthority(kept)
	if err != nil {
		t.Fatal(err)
	}
	return &papers{authority: a, relayID: relayID, clock: clock}
}

func fresh(t *testing.T) []byte {
	t.Helper()
	kept, err := newAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

// shake shakes hands over a real connection, and returns what each end says.
func shake(t *testing.T, server, client *tls.Config) (serverErr, clientErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	answered := make(chan error, 1)
	go func() {
		raw, err := l.Accept()
		if err != nil {
			answered <- err
			return
		}
		defer raw.Close()
		conn := tls.Server(raw, server)
		err = conn.HandshakeContext(t.Context())
		if err == nil {
			_, err = conn.Write([]byte("!"))
		}
		answered <- err
	}()
	conn, err := tls.Dial("tcp", l.Addr().String(), client)
	if err == nil {
		// With TLS 1.3 a client hears of a refusal only when it reads.
		_, err = conn.Read(make([]byte, 1))
		_ = conn.Close()
	}
	return <-answered, err
}

func TestOnlyRelaysOfOneAuthorityMeet(t *testing.T) {
	now := time.Now
	at := func(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }
	ours, theirs := fresh(t), fresh(t)
	public := testkit.NewAuthority(t, t.TempDir())
	certFile, keyFile := public.Issue(t, t.TempDir(), "rly_a", "127.0.0.1")
	stranger, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	forged := papersOf(t, theirs, "rly_b", now)
	for _, c := range []struct {
		name           string
		server, client *tls.Config
		serverWords    string // of the listener's refusal; "": none
		clientWords    string // of the dialler's
	}{
		{name: "of the same", server: papersOf(t, ours, "rly_a", now).listening(), client: papersOf(t, ours, "rly_b", now).dialling("rly_a")},
		{name: "one clock 10 minutes ahead", server: papersOf(t, ours, "rly_a", at(10*time.Minute)).listening(), client: papersOf(t, ours, "rly_b", now).dialling("rly_a")},
		{name: "one clock 10 minutes behind", server: papersOf(t, ours, "rly_a", at(-10*time.Minute)).listening(), client: papersOf(t, ours, "rly_b", now).dialling("rly_a")},
		{name: "one clock two days ahead", server: papersOf(t, ours, "rly_a", at(48*time.Hour)).listening(), client: papersOf(t, ours, "rly_b", now).dialling("rly_a"),
			serverWords: "bad certificate", clientWords: "compare the clocks"},
		{name: "another relay than was meant", server: papersOf(t, ours, "rly_c", now).listening(), client: papersOf(t, ours, "rly_b", now).dialling("rly_a"),
			serverWords: "bad certificate", clientWords: "there is the relay rly_c instead"},
		{name: "a listener of another authority", server: papersOf(t, theirs, "rly_a", now).listening(), client: papersOf(t, ours, "rly_b", now).dialling("rly_a"),
			serverWords: "bad certificate", clientWords: "authority"},
		{name: "a dialler of another authority", server: papersOf(t, ours, "rly_a", now).listening(),
			client:      &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return forged.own() }},
			serverWords: "unknown authority", clientWords: "does not take this relay's certificate"},
		{name: "a dialler with a web certificate", server: papersOf(t, ours, "rly_a", now).listening(),
			client:      &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &stranger, nil }},
			serverWords: "unknown authority", clientWords: "does not take this relay's certificate"},
		{name: "a dialler without any", server: papersOf(t, ours, "rly_a", now).listening(), client: &tls.Config{InsecureSkipVerify: true},
			serverWords: "didn't provide a certificate", clientWords: "does not take this relay's certificate"},
		{name: "a listener with a web certificate", server: &tls.Config{Certificates: []tls.Certificate{stranger}}, client: papersOf(t, ours, "rly_b", now).dialling("rly_a"),
			serverWords: "bad certificate", clientWords: "authority"},
		{name: "a dialler that speaks TLS 1.2", server: papersOf(t, ours, "rly_a", now).listening(),
			client:      &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12},
			serverWords: "unsupported versions", clientWords: "protocol version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			serverErr, clientErr := shake(t, c.server, c.client)
			if (serverErr == nil) != (c.serverWords == "") || serverErr != nil && !strings.Contains(serverErr.Error(), c.serverWords) {
				t.Errorf("the listener says %v, want %q", serverErr, c.serverWords)
			}
			if (clientErr == nil) != (c.clientWords == "") || clientErr != nil && !strings.Contains(words(clientErr), c.clientWords) {
				t.Errorf("the dialler says %v (%v), want %q", words(clientErr), clientErr, c.clientWords)
			}
		})
	}
}

func TestCertificateIsRenewedInTime(t *testing.T) {
	now := time.Now()
	p := papersOf(t, fresh(t), "rly_a", func() time.Time { return now })
	for _, c := range []struct {
		after  time.Duration
		issued int
	}{{0, 1}, {time.Hour, 1}, {11 * time.Hour, 1}, {13 * time.Hour, 2}, {24 * time.Hour, 2}, {26 * time.Hour, 3}, {-24 * time.Hour, 4}} {
		start := now
		now = now.Add(c.after)
		shown, err := p.own()
		if err != nil || p.issued != c.issued {
			t.Errorf("%s later: %d issued, %v, want %d", c.after, p.issued, err, c.issued)
		}
		if left := shown.Leaf.NotAfter.Sub(now); left < renewBefore || left > certificateLives {
			t.Errorf("%s later: good for %s", c.after, left)
		}
		if c.after >= 0 {
			now = start
		}
	}
}

// keep is where several relays find their authority at once.
type keep struct {
	Roll
	made chan []byte // takes one
}

func (k keep) PeerAuthority(_ context.Context, fresh func() ([]byte, error)) ([]byte, error) {
	select {
	case kept := <-k.made:
		return kept, nil
	default:
		return nil, errors.New("there is none")
	}
}

func TestAuthorityThatCanNotBeHadIsSaid(t *testing.T) {
	if _, err := New(t.Context(), Options{Roll: keep{made: make(chan []byte)}, RelayID: "rly_a"}); err == nil {
		t.Error("it began")
	}
	made := make(chan []byte, 1)
	made <- []byte("{}")
	if _, err := New(t.Context(), Options{Roll: keep{made: made}, RelayID: "rly_a"}); err == nil || !strings.Contains(err.Error(), "authority of the relays") {
		t.Errorf("damaged: %v", err)
	}
}

func TestRelayOfACertificate(t *testing.T) {
	if got := relayOf(&x509.Certificate{URIs: nil}); got != "" {
		t.Errorf("of none: %q", got)
	}
	shown, err := papersOf(t, fresh(t), "rly_0198 ä", time.Now).own()
	if err != nil {
		t.Fatal(err)
	}
	if got := relayOf(shown.Leaf); got != "rly_0198 ä" {
		t.Errorf("got %q", got)
	}
}
