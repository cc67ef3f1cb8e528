package policy

import (
	"net/netip"
	"reflect"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func netipText(b []byte) string { return netip.AddrFrom4([4]byte(b)).String() }

// sameRule compares two rules without their buckets.
func sameRule(a, b *Rule) bool { return reflect.DeepEqual(a, b) }
