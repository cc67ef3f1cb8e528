package outbound

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/proto"
)

// endless is a body that never ends, of which there is always more.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// deaf takes a connection and reads nothing of it, until the other end gives up:
// then writing fails.
func deaf(c net.Conn) {
	for {
		if _, err := c.Write(nil); err != nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// TestAStageThatTakesTooLongIsNamed: each limit has its own stage, and the
// outcome says whether the target may have acted.
func TestAStageThatTakesTooLongIsNamed(t *testing.T) {
	const short = "60"
	never, feed := io.Pipe()
	t.Cleanup(func() { _ = feed.Close() })
	for _, c := range []struct {
		name, limits   string
		scheme         string
		serve          func(net.Conn)
		body           io.Reader
		timeout, stage string
		outcome        proto.Outcome
		says           string
	}{
		{"no handshake", "connect=" + short, "https", silent, nil, proto.TimeoutConnect, "tls", proto.OutcomeNotSent, "longer than 60ms: the time was up in the TLS handshake"},
		{"no answer", "firstByte=" + short, "http", silent, strings.NewReader("{}"), proto.TimeoutFirstByte, "wait", proto.OutcomeUnknown, "while waiting for the answer"},
		{"answer that stops", "idle=" + short, "http", func(c net.Conn) {
			says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")(c)
			silent(c)
		}, nil, proto.TimeoutIdle, "body", proto.OutcomeSent, "was idle for 60ms while reading the answer"},
		{"header that stops", "idle=" + short, "http", func(c net.Conn) {
			says("HTTP/1.1 200 OK\r\nContent-")(c)
			silent(c)
		}, nil, proto.TimeoutIdle, "wait", proto.OutcomeSent, "was idle"},
		{"target that takes no body", "idle=" + short, "http", deaf, endless{}, proto.TimeoutIdle, "wait", proto.OutcomeUnknown, "was idle for 60ms while sending"},
		{"body that does not come", "idle=" + short, "http", silent, never, proto.TimeoutIdle, "wait", proto.OutcomeUnknown, "No byte of the request's body came for 60ms"},
		{"all of it", "", "http", silent, nil, proto.TimeoutTotal, "wait", proto.OutcomeUnknown, "took too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), "POST", c.scheme+"://"+listen(t, c.serve), c.body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set(proto.HeaderTimeouts, c.limits)
			if c.limits == "" {
				req.Header.Set(proto.HeaderTimeout, short)
			}
			e := mustFail(t, transport(t, Options{}), req)
			if e.Code != proto.CodeTargetTimeout || e.Facts["timeout"] != c.timeout || e.Facts["stage"] != c.stage || e.Outcome != c.outcome {
				t.Errorf("%s %s, %v", e.Code, e.Outcome, e.Facts)
			}
			if !strings.Contains(e.Detail, c.says) || e.Hint == "" {
				t.Errorf("%q, hint %q", e.Detail, e.Hint)
			}
		})
	}
}

func TestFaultyTimeoutsAreRefused(t *testing.T) {
	req := request(t, "GET", "http://app.invalid", "")
	req.Header.Set(proto.HeaderTimeouts, "idle=soon")
	if e := mustFail(t, transport(t, Options{}), req); e.Code != proto.CodeValidation || e.Outcome != proto.OutcomeNotSent {
		t.Errorf("%+v", e)
	}
}

func TestWhoAllowsMoreToConnectHasAPoolOfHisOwn(t *testing.T) {
	tr := transport(t, Options{})
	usual, patient := tr.kept.of(t.Context(), HostTLS{}, false), tr.kept.of(t.Context(), HostTLS{}, true)
	if usual == patient || usual.TLSHandshakeTimeout != tlsTimeout || patient.TLSHandshakeTimeout != patientTimeout {
		t.Errorf("%s and %s for the handshake", usual.TLSHandshakeTimeout, patient.TLSHandshakeTimeout)
	}
}

// TestOnlySilenceOfTheOtherEndCounts plays the stages of an exchange by a clock
// of its own.
func TestOnlySilenceOfTheOtherEndCounts(t *testing.T) {
	limits := proto.Timeouts{Connect: time.Second, FirstByte: 2 * time.Second, Idle: 3 * time.Second}
	for _, c := range []struct {
		name string
		play func(p *pace)
		over string
	}{
		{"each stage within its limit", func(p *pace) {
			p.connecting()
			time.Sleep(900 * time.Millisecond)
			p.moving()
			time.Sleep(2900 * time.Millisecond)
			p.waiting()
			time.Sleep(1900 * time.Millisecond)
			p.moving()
			time.Sleep(2900 * time.Millisecond)
			p.rest()
		}, ""},
		{"an answer that nobody reads", func(p *pace) {
			p.moving()
			p.rest()
			time.Sleep(time.Hour)
			p.moving()
			time.Sleep(2 * time.Second)
			p.rest()
		}, ""},
		{"a body in many pieces", func(p *pace) {
			p.moving()
			for range 10 {
				p.body(true)
				time.Sleep(2 * time.Second)
				p.body(false)
				time.Sleep(2 * time.Second)
			}
			p.rest()
		}, ""},
		{"a body whose next piece does not come", func(p *pace) {
			p.moving()
			p.body(true)
			time.Sleep(4 * time.Second)
		}, proto.TimeoutIdle},
		{"a connect", func(p *pace) { p.connecting(); time.Sleep(1100 * time.Millisecond) }, proto.TimeoutConnect},
		{"a first byte", func(p *pace) { p.waiting(); time.Sleep(2100 * time.Millisecond) }, proto.TimeoutFirstByte},
		{"what comes after the end", func(p *pace) { p.stop(); p.moving(); time.Sleep(time.Hour) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				p := newPace(ctx, limits, cancel)
				defer p.stop()
				c.play(p)
				synctest.Wait()
				got := ""
				if l, _ := p.passed(); l != nil {
					got = l.name
				}
				if got != c.over || (ctx.Err() != nil) != (c.over != "") {
					t.Errorf("over: %q, want %q; cancelled: %v", got, c.over, ctx.Err())
				}
			})
		})
	}
}
