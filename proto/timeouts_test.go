package proto_test

import (
	"testing"
	"time"

	"sallyport/proto"
)

func TestTimeoutsComeBack(t *testing.T) {
	for _, c := range []struct {
		limits proto.Timeouts
		text   string
	}{
		{proto.Timeouts{}, ""},
		{proto.Timeouts{Connect: 5 * time.Second}, "connect=5000"},
		{proto.Timeouts{Connect: time.Second, FirstByte: time.Minute, Idle: 24 * time.Hour}, "connect=1000,firstByte=60000,idle=86400000"},
	} {
		if got := proto.FormatTimeouts(c.limits); got != c.text {
			t.Errorf("%+v: %q", c.limits, got)
		}
		if got, err := proto.ParseTimeouts(c.text); err != nil || got != c.limits {
			t.Errorf("%q: %+v, %v", c.text, got, err)
		}
	}
	if got, err := proto.ParseTimeouts("later=1,idle=2"); err != nil || got != (proto.Timeouts{Idle: 2 * time.Millisecond}) {
		t.Errorf("an unknown limit: %+v, %v", got, err)
	}
	for _, text := range []string{"idle", "idle=", "idle=-1", "idle=1s", "connect=86400001"} {
		if got, err := proto.ParseTimeouts(text); err == nil {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
}
