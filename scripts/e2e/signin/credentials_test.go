package signin

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// siteOf is where a mode's applications are.
func (s *stage) siteOf(mode string) *testkit.Site {
	if mode == "on-premise" {
		return s.site
	}
	return nil
}

// as is a connection to a folder of a server.
func as(kind string, s *server, folder string) object {
	return object{"baseUri": s.url + "/" + folder, "mediaType": "plain", "ping": object{"uri": "/who.sh"}, "secrets": object{"password": passwordOfServers},
		"auth": object{"type": kind, kind: object{"username": userOfServers, "password": "{{secret.password}}"}}}
}

func TestBasicAndDigestAtLighttpd(t *testing.T) {
	s := newStage(t)
	modes(t, func(t *testing.T, mode string) {
		web := startLighttpd(t, s.siteOf(mode))
		for folder, kind := range map[string]string{"basic": "basic", "sha256": "digest", "md5": "digest"} {
			t.Run(folder, func(t *testing.T) {
				c := s.in(mode, as(kind, web, folder))
				if r := s.test(t, c); !r.OK || r.Steps[1].Status != "skipped" || !strings.Contains(r.Steps[1].Message, "go with each request") {
					t.Fatalf("%+v", r)
				}
				id := s.save(t, c)
				long := strings.Repeat("0123456789", 20_000) // more than is kept to be sent again
				for _, body := range []string{"one", "two", long, "three"} {
					status, code, answer := s.send(t, id, "POST", "/who.sh", "text/plain", strings.NewReader(body))
					if status != http.StatusOK || !strings.HasSuffix(answer, userOfServers+" POST") {
						t.Fatalf("%d bytes: %d %s %s", len(body), status, code, answer)
					}
				}
				// Each body was acted on once, with nothing in between but the questions of HEAD.
				acted := slices.DeleteFunc(web.acted(t, folder), func(body string) bool { return body == "" })
				if want := []string{"one", "two", long, "three"}; !slices.Equal(acted, want) {
					t.Errorf("acted on %d bodies: %.200q", len(acted), acted)
				}

				c["secrets"] = object{"password": "wrong"}
				if r := s.test(t, c); r.OK || r.Steps[2].HintID != "ping-401" || !strings.Contains(r.Steps[2].Hint, "user name and the password") {
					t.Errorf("a wrong password: %+v", r.Steps[2])
				}
			})
		}
		if mode == "on-premise" {
			t.Run("a secret of the agent", func(t *testing.T) {
				c := s.in(mode, as("basic", web, "basic"))
				c["secrets"] = object{}
				c["auth"] = object{"type": "basic", "basic": object{"username": userOfServers, "password": "{{agent.secret.password}}"}}
				if r := s.test(t, c); !r.OK {
					t.Fatalf("%+v", r)
				}
				if status, code, body := s.send(t, s.save(t, c), "GET", "/who.sh", "", nil); status != http.StatusOK || !strings.HasPrefix(body, userOfServers) {
					t.Errorf("%d %s %s", status, code, body)
				}
			})
		}
		t.Run("the other scheme", func(t *testing.T) {
			if r := s.test(t, s.in(mode, as("basic", web, "md5"))); r.OK || r.Steps[2].Fix == nil || r.Steps[2].Fix.Value != "digest" {
				t.Errorf("%+v", r.Steps[2])
			}
		})
	})
}

func TestDigestAtApacheWhoseNoncesEnd(t *testing.T) {
	s := newStage(t)
	web := startApache(t, s.site)
	id := s.save(t, s.in("on-premise", as("digest", web, "md5")))
	begun := time.Now()
	n := 0
	// Requests for as long as nonces end under them, with bodies of both kinds.
	for ; time.Since(begun) < 2500*time.Millisecond; n++ {
		var body io.Reader = strings.NewReader("short")
		if n%5 == 4 {
			body = strings.NewReader(strings.Repeat("long", 50_000))
		}
		if status, code, answer := s.send(t, id, "POST", "/who.sh", "text/plain", body); status != http.StatusOK || answer != userOfServers+" POST" {
			t.Fatalf("request %d: %d %s %s", n, status, code, answer)
		}
	}
	acted := slices.DeleteFunc(web.acted(t, "md5"), func(body string) bool { return body == "" })
	if len(acted) != n {
		t.Errorf("%d requests were acted on %d times", n, len(acted))
	}
}
