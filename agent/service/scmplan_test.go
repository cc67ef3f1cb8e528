package service

import (
	"regexp"
	"testing"
	"time"
)

func TestServiceSIDIsWindows(t *testing.T) {
	// The one that every Windows has.
	if got, want := serviceSID("TrustedInstaller"), "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if serviceSID("sallyport-agent") != serviceSID("SALLYPORT-Agent") {
		t.Error("the case of the name matters")
	}
}

func TestAccessListsKeepEveryoneElseOut(t *testing.T) {
	sid := serviceSID("sallyport-agent")
	for name, c := range map[string]struct{ got, want string }{
		"a directory of its own": {accessList("sallyport-agent", Owns, true), "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;" + sid + ")"},
		"a file that it reads":   {accessList("sallyport-agent", Reads, false), "D:PAI(A;;FA;;;SY)(A;;FA;;;BA)(A;;0x1200a9;;;" + sid + ")"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", name, c.got, c.want)
		}
		if regexp.MustCompile(`;;;(BU|WD|AU|IU)\)`).MatchString(c.got) {
			t.Errorf("%s: users are let in: %s", name, c.got)
		}
	}
}

func TestRecoveryComesBackInFiveSecondsAtFirst(t *testing.T) {
	if first := recoveryDelays[0]; first > 5*time.Second {
		t.Errorf("the first wait is %v", first)
	}
	if longest := recoveryDelays[len(recoveryDelays)-1]; recoveryReset < 10*longest {
		t.Errorf("failures are forgotten after %v, where the longest wait is %v", recoveryReset, longest)
	}
	for i, d := range recoveryDelays[1:] {
		if d <= recoveryDelays[i] {
			t.Errorf("wait %d is %v after %v", i+1, d, recoveryDelays[i])
		}
	}
}
