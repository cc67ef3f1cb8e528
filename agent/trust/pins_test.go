package trust

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/outbound"
)

func TestPinsComeBack(t *testing.T) {
	dir := t.TempDir()
	if pins, err := Load(dir); err != nil || len(pins) != 0 {
		t.Fatalf("%v, %v", pins, err)
	}
	one, two := selfSigned(t, "one"), selfSigned(t, "two")
	now := time.Now()
	want := []Pin{NewPin("a.test:443", one.Leaf, now), NewPin("b.test:8443", two.Leaf, now)}
	if err := Save(dir, []Pin{want[1], want[0]}); err != nil {
		t.Fatal(err)
	}
	got, err := Load(dir)
	if err != nil || cmp.Diff(want, got) != "" {
		t.Fatalf("%v, %s", err, cmp.Diff(want, got))
	}
	changed := NewPin("a.test:443", two.Leaf, now)
	if err := Save(dir, Without(With(got, changed), "b.test:8443")); err != nil {
		t.Fatal(err)
	}
	if got, err = Load(dir); err != nil || cmp.Diff([]Pin{changed}, got) != "" {
		t.Errorf("%v, %v", got, err)
	}
	if Of(got, "a.test:443") == nil || Of(got, "a.test:444") != nil {
		t.Error("a pin is not found by its host")
	}
	hosts, err := New(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"a.test", "A.TEST."} {
		if pin := hosts.TLS(host, "443").Pin; pin == nil || *pin != outbound.FingerprintOf(two.Certificate[0]) {
			t.Errorf("%s: %v", host, pin)
		}
	}
	if first := hosts.TLS("a.test", "443"); hosts.TLS("A.test", "443") != first {
		t.Error("the answer is another one each time")
	}
	if hosts.TLS("a.test", "8443").Pin != nil || hosts.TLS("b.test", "8443").Pin != nil {
		t.Error("another host is pinned")
	}
}

// What is pinned must not be forgotten because of a damaged file.
func TestDamagedPinsAreAnError(t *testing.T) {
	for _, text := range []string{"", "{", `{"pins":[{"host":"a:443","sha256":"AB"}]}`, `{"pins":[{"sha256":"` + strings.Repeat("00", 32) + `"}]}`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, File), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(dir, nil); err == nil || !strings.Contains(err.Error(), "is damaged") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestHostOf(t *testing.T) {
	for text, want := range map[string]string{
		"https://erp.test": "erp.test:443", "https://ERP.test.:8443/api?x=1": "erp.test:8443", "erp.test:8443": "erp.test:8443", "erp.test": "erp.test:443",
		"https://10.1.2.3": "10.1.2.3:443", "https://[fd00:0::1]:8443": "[fd00::1]:8443", "https://bücher.test": "xn--bcher-kva.test:443",
	} {
		if got, err := HostOf(text); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "http://erp.test", "https://", "https://u:p@erp.test", "ftp://x"} {
		if got, err := HostOf(text); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
}

func TestParseFingerprint(t *testing.T) {
	f := outbound.FingerprintOf([]byte("x"))
	for _, text := range []string{f.String(), strings.ToLower(f.String()), strings.ReplaceAll(f.String(), ":", ""), "sha256 Fingerprint=" + f.String(), strings.ReplaceAll(f.String(), ":", " ")} {
		if got, err := ParseFingerprint(text); err != nil || got != f {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"", "AB:CD", f.String() + ":00", "zz" + f.String()[2:]} {
		if _, err := ParseFingerprint(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
