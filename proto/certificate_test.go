package proto

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestACertificateTravelsWithTheTiming(t *testing.T) {
	for name, c := range map[string]*Certificate{
		"plain":   {Fingerprint: strings.Repeat("ab", 32), Subject: "erp.plant2.internal", Issuer: "Plant CA", NotAfter: time.Unix(1900000000, 0).UTC()},
		"awkward": {Fingerprint: "00", Subject: "a,b=c:d\r\nX-Y: z", Issuer: "Zertifikatsstelle Österreich", NotAfter: time.Unix(0, 0).UTC()},
		"nothing": {NotAfter: time.Unix(0, 0).UTC()},
	} {
		timing := Timing{Wait: time.Millisecond, Address: "[::1]:443", Certificate: c}
		text := FormatTiming(timing)
		got, err := ParseTiming(text)
		if err != nil || strings.ContainsAny(text, "\r\n") {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		if diff := cmp.Diff(timing, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, text := range []string{"certificate=", "certificate=a:b:c:d", "certificate=a:1:%zz:d", "wait=5,certificate=x"} {
		if got, err := ParseTiming(text); err != nil || got.Certificate != nil {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}
