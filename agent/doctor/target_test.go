package doctor

import (
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/outbound"
)

func TestTargetsAreMetAsRequestsMeetThem(t *testing.T) {
	relay := serve(t, &fakeRelay{})
	plant := newAuthority(t, "Plant Authority")
	status := func(code int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/login?ticket=hush")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, "hush")
		})
	}
	soon := plant.issue(t, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-1000*time.Hour), time.Now().Add(48*time.Hour)
	})
	other := plant.issue(t, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"erp.test"} })
	for _, c := range []struct {
		name, url string
		distrust  bool
		status    Status
		says      []string
	}{
		{"answers", serve(t, status(200)) + "/api?key=hush", false, Pass, []string{"status 200", "127.0.0.1"}},
		{"wants a login", serve(t, status(401)), false, Pass, []string{"status 401", "as it should be"}},
		{"denies", serve(t, status(403)), false, Pass, []string{"status 403"}},
		{"redirects", serve(t, status(302)), false, Pass, []string{"redirects to /login?(left out)"}},
		{"is ill", serve(t, status(500)), false, Warn, []string{"status 500", "its log"}},
		{"a proxy before it wants a login", serve(t, status(407)), false, Fail, []string{"407", "targetProxy"}},
		{"is not there", "http://127.0.0.1:1", false, Fail, []string{"refused"}},
		{"is trusted", serveTLS(t, status(200), plant.issue(t, nil)), false, Pass, []string{"TLS 1.3", "Plant Authority"}},
		{"is not trusted", serveTLS(t, status(200), plant.issue(t, nil)), true, Fail, []string{"Plant Authority", "--target-ca-file"}},
		{"expires soon", serveTLS(t, status(200), soon), false, Warn, []string{"expires on", "renewed"}},
		{"has another name", serveTLS(t, status(200), other), false, Fail, []string{"erp.test"}},
		{"speaks no TLS", strings.Replace(serve(t, status(200)), "http:", "https:", 1), false, Fail, []string{"does not speak TLS"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			options := outbound.Options{RootCAs: x509.NewCertPool()}
			if !c.distrust {
				options.RootCAs.AddCert(plant.cert)
			}
			transport := outbound.New(options)
			defer transport.Close()
			u := mustURL(t, c.url)
			r := examineWith(t, relay, "", func(o *Options) { o.Targets, o.Transport = append(o.Targets, u), transport })
			got := expect(t, r, CheckTarget, c.status, c.says...)
			if strings.HasPrefix(c.url, "https") && got.Facts["error"] != "not_tls" && len(got.Facts["chain"].([]Certificate)) != 1 {
				t.Errorf("facts %v", got.Facts)
			}
			if raw, _ := json.Marshal(r); strings.Contains(string(raw), "hush") {
				t.Errorf("a query or an answer is shown: %s", raw)
			}
		})
	}
}

func TestATargetIsLookedAtThoughTheRelayCannotBeReached(t *testing.T) {
	transport := outbound.New(outbound.Options{})
	defer transport.Close()
	u := mustURL(t, serve(t, http.NotFoundHandler()))
	r := examineWith(t, "https://127.0.0.1:1", "", func(o *Options) { o.Targets, o.Transport = append(o.Targets, u), transport })
	expect(t, r, CheckTarget, Pass, "status 404")
}
