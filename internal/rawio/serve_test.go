package rawio_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/rawio"
)

// TestWritesOfSeveralDoNotMix: each Write arrives in one piece, however it is
// moved and however often the other end makes it wait.
func TestWritesOfSeveralDoNotMix(t *testing.T) {
	const writers, each = 6, 200
	a, b := pair(t)
	var work sync.WaitGroup
	for w := range writers {
		work.Go(func() {
			for i := range each {
				p := bytes.Repeat([]byte{byte(w)}, 4+(i*7919+w*104729)%40_000)
				binary.BigEndian.PutUint32(p, uint32(len(p)))
				if n, err := a.Write(p); n != len(p) || err != nil {
					t.Errorf("wrote %d of %d: %v", n, len(p), err)
					return
				}
			}
		})
	}
	go func() {
		work.Wait()
		_ = a.Close()
	}()
	defer b.Close() // and the writers end
	for got := 0; ; got++ {
		head := make([]byte, 4)
		if _, err := io.ReadFull(b, head); err == io.EOF {
			if got != writers*each {
				t.Errorf("%d arrived", got)
			}
			return
		} else if err != nil {
			t.Fatal(err)
		}
		body := make([]byte, binary.BigEndian.Uint32(head)-4)
		if _, err := io.ReadFull(b, body); err != nil {
			t.Fatal(err)
		}
		if len(body) > 0 && !bytes.Equal(body, bytes.Repeat(body[:1], len(body))) {
			t.Fatal("two writes are mixed")
		}
	}
}

// TestReadGoesOnAfterADeadline is what net/http does to take back a read that it
// began.
func TestReadGoesOnAfterADeadline(t *testing.T) {
	a, b := pair(t)
	warm(t, a, b)
	for i := range 300 {
		told := make(chan error)
		go func() {
			_, err := a.Read(make([]byte, 1))
			told <- err
		}()
		if err := a.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if err := <-told; !os.IsTimeout(err) {
			t.Fatalf("told: %v", err)
		}
		if err := a.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		p := []byte{byte(i)}
		if _, err := b.Write(p); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(a, p); err != nil || p[0] != byte(i) {
			t.Fatalf("read %d: %v", p[0], err)
		}
	}
}

// TestServerOfThePackage serves requests, and hands over a connection whose
// client spoke on before it was told that it may.
func TestServerOfThePackage(t *testing.T) {
	for _, secure := range []bool{false, true} {
		plain, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := &httptest.Server{Listener: rawio.Listen(plain), Config: &http.Server{Handler: http.HandlerFunc(echo)}}
		dial := rawio.Dial(&net.Dialer{})
		if secure {
			server.StartTLS()
		} else {
			server.Start()
		}
		transport := server.Client().Transport.(*http.Transport)
		transport.DialContext = dial
		for size := 1; size <= 1<<20; size *= 32 {
			said := strings.Repeat("x", size)
			resp, err := server.Client().Post(server.URL, "text/plain", strings.NewReader(said))
			if err != nil {
				t.Fatal(err)
			}
			heard, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || string(heard) != said {
				t.Errorf("TLS %v: %d of %d came back: %v", secure, len(heard), size, err)
			}
		}
		conn, err := dial(t.Context(), "tcp", plain.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if secure {
			conn = tls.Client(conn, &tls.Config{RootCAs: transport.TLSClientConfig.RootCAs, ServerName: "example.com"})
		}
		if _, err := conn.Write([]byte("GET /take HTTP/1.1\r\nHost: x\r\n\r\nearly")); err != nil {
			t.Fatal(err)
		}
		heard := make([]byte, len("early"))
		if _, err := io.ReadFull(conn, heard); err != nil || string(heard) != "early" {
			t.Errorf("TLS %v: heard %q: %v", secure, heard, err)
		}
		_ = conn.Close()
		transport.CloseIdleConnections()
		server.Close()
	}
}

// echo sends back the request's body; at /take, all that comes on its connection.
func echo(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/take" {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	_, _ = io.Copy(conn, rw.Reader)
}
