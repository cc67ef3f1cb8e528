package account

import (
	"testing"
	"time"
)

func TestALinkLastsInWholeUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Hour:              "1 hour",
		90 * time.Minute:       "1 hour 30 minutes",
		InviteLifetime:         "3 days",
		24 * time.Hour:         "1 day",
		36 * time.Hour:         "36 hours",
		61 * time.Second:       "1 minute 1 second",
		500 * time.Millisecond: "less than a second",
		time.Hour + 1:          "1 hour",
	} {
		if got := Lasting(d); got != want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
}
