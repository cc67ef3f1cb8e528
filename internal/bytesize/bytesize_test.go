package bytesize

import (
	"strings"
	"testing"
)

func TestSizesAreWrittenAsAPersonWroteThem(t *testing.T) {
	for _, text := range []string{"1 MB", "500 MB", "10 GiB", "512 KiB", "64 KiB", "1 GB", "1025 B", "1 B", "1500 KB", "1 KiB"} {
		n, ok := Parse(strings.ReplaceAll(text, " ", ""))
		if got := Words(n); !ok || got != text {
			t.Errorf("%s is shown as %s", text, got)
		}
	}
}

func TestWhatIsNoSize(t *testing.T) {
	for _, text := range []string{"", "0", "0MB", "-1", "10X", "MB", "9999PB", "99999999999GiB", "1.5MB", " 1MB"} {
		if n, ok := Parse(text); ok {
			t.Errorf("%q is read as %d", text, n)
		}
	}
}
