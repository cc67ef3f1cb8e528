package service

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEachSystemHasItsPlaces(t *testing.T) {
	for _, c := range []struct {
		system, instance string
		want             Layout
	}{
		{"linux", "", Layout{"", "sallyport-agent.service", "Sallyport agent", "sallyport-agent", "/usr/local/bin/sallyport-agent",
			"/etc/sallyport-agent", "/var/lib/sallyport-agent", "/etc/systemd/system/sallyport-agent.service"}},
		{"linux", "plant3", Layout{"plant3", "sallyport-agent@plant3.service", "Sallyport agent (plant3)", "sallyport-agent-plant3", "/usr/local/bin/sallyport-agent",
			"/etc/sallyport-agent-plant3", "/var/lib/sallyport-agent-plant3", "/etc/systemd/system/sallyport-agent@plant3.service"}},
		{"darwin", "", Layout{"", "sallyport-agent", "Sallyport agent", "_sallyport-agent", "/usr/local/bin/sallyport-agent",
			"/Library/Application Support/Sallyport/agent", "/Library/Application Support/Sallyport/agent/data", "/Library/LaunchDaemons/sallyport-agent.plist"}},
		{"windows", "plant3", Layout{"plant3", "sallyport-agent-plant3", "Sallyport agent (plant3)", `NT SERVICE\sallyport-agent-plant3`, `C:\Program Files\Sallyport\sallyport-agent.exe`,
			`C:\ProgramData\Sallyport\agent-plant3`, `C:\ProgramData\Sallyport\agent-plant3\data`, ""}},
	} {
		if diff := cmp.Diff(c.want, on(t, c.system, c.instance)); diff != "" {
			t.Errorf("%s %q:\n%s", c.system, c.instance, diff)
		}
	}
	if got := on(t, "windows", "").Config(); got != `C:\ProgramData\Sallyport\agent\agent.yaml` {
		t.Error(got)
	}
	if _, err := LayoutOn("plan9", "", nil); err == nil {
		t.Error("a service manager of plan9 is known")
	}
	if _, err := LayoutOn("windows", "", func(string) string { return "" }); err == nil {
		t.Error("Windows without its variables has places")
	}
}

func TestInstanceNamesFitEverySystem(t *testing.T) {
	for name, fits := range map[string]bool{
		"plant3": true, "a": true, "abcdefghijklmnop": true,
		"abcdefghijklmnopq": false, "3plant": false, "Plant": false, "plant-3": false, "../x": false, "a b": false, "ä": false,
	} {
		if err := CheckInstance(name); (err == nil) != fits {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := LayoutOn("linux", name, nil); (err == nil) != fits {
			t.Errorf("layout of %q: %v", name, err)
		}
	}
	if n := len(on(t, "linux", "abcdefghijklmnop").Account); n > 32 {
		t.Errorf("a user's name of %d bytes; Linux takes 32", n)
	}
}

func TestPackagedProgramsStayWhereTheyAre(t *testing.T) {
	l := on(t, "linux", "")
	for path, stays := range map[string]bool{
		"/usr/bin/sallyport-agent": true, "/opt/sallyport/bin/sallyport-agent": true,
		"/usr/local/bin/sallyport-agent": false, "/root/sallyport-agent": false, "/usr/binary/sallyport-agent": false, "/tmp/x": false,
	} {
		if l.InPlace(path) != stays {
			t.Errorf("%s: in place %v", path, !stays)
		}
	}
}
