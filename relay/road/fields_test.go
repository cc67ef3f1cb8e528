package road

import (
	"net/url"
	"testing"

	"sallyport/relay/connection"
)

// TestHomeIsTheBaseURIsOrigin, however it is written, and nothing that only looks
// like it.
func TestHomeIsTheBaseURIsOrigin(t *testing.T) {
	for _, c := range []struct {
		base, target string
		home         bool
	}{
		{"https://erp.example.com/api", "https://erp.example.com/api/orders", true},
		{"https://erp.example.com", "https://erp.example.com/orders", true},
		{"https://erp.example.com?tenant=1", "https://erp.example.com/orders", true},
		{"https://ERP.example.com:443/api", "https://erp.example.com/api", true},
		{"https://erp.example.com", "http://erp.example.com/", false},
		{"https://erp.example.com:8443", "https://erp.example.com/", false},
		{"https://erp.example.com.evil.example/", "https://erp.example.com/", false},
		{"https://erp.example.com/", "https://erp.example.co/", false},
		{"https://[::1]:80/", "https://[::1]:8/", false},
		{"https://erp.example.com/", "https:///orders", false},
	} {
		u, err := url.Parse(c.target)
		if err != nil {
			t.Fatal(err)
		}
		got, err := atHome(&connection.Connection{Spec: connection.Spec{BaseURI: c.base}}, u)
		if err != nil || got != c.home {
			t.Errorf("%s for %s: %v, %v", c.base, c.target, got, err)
		}
	}
}
