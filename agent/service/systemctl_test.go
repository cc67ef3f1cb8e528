package service

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSystemctlShowIsRead(t *testing.T) {
	const name = "sallyport-agent.service"
	for what, c := range map[string]struct {
		text string
		want Status
	}{
		"running": {"LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=812\nNRestarts=3\nResult=success\nStatusText=online as agent \"x\"\n",
			Status{Name: name, State: Running, AtBoot: true, PID: 812, Restarts: 3, Detail: `online as agent "x"`}},
		"not there": {"LoadState=not-found\nActiveState=inactive\nSubState=dead\nMainPID=0\nNRestarts=0\nResult=success\n", Status{Name: name, State: NotInstalled}},
		"stopped":   {"LoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\nMainPID=0\n", Status{Name: name, State: Stopped}},
		"failed":    {"LoadState=loaded\nActiveState=failed\nUnitFileState=enabled\nResult=exit-code\n", Status{Name: name, State: Failed, AtBoot: true, Detail: "it ended with exit-code"}},
		"again and again": {"LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nUnitFileState=enabled\nResult=watchdog\n",
			Status{Name: name, State: Starting, AtBoot: true, Detail: "it ended (watchdog) and is about to be started again"}},
		"stopping": {"LoadState=loaded\nActiveState=deactivating\nMainPID=7\n", Status{Name: name, State: Stopping, PID: 7}},
	} {
		if diff := cmp.Diff(c.want, readShow(name, c.text)); diff != "" {
			t.Errorf("%s:\n%s", what, diff)
		}
	}
}

func TestLaunchctlPrintIsRead(t *testing.T) {
	running := "system/sallyport-agent = {\n\tactive count = 1\n\tpath = /Library/LaunchDaemons/sallyport-agent.plist\n\tstate = running\n\n\targuments = {\n\t\tpid = 1\n\t}\n\tpid = 812\n\tlast exit code = 0\n}\n"
	if diff := cmp.Diff(Status{Name: "sallyport-agent", State: Running, AtBoot: true, PID: 812}, readLaunchctl("sallyport-agent", running)); diff != "" {
		t.Error(diff)
	}
	failed := "system/sallyport-agent = {\n\tstate = not running\n\tlast exit code = 1\n}\n"
	if diff := cmp.Diff(Status{Name: "sallyport-agent", State: Failed, AtBoot: true, Detail: "it ended last with exit status 1"}, readLaunchctl("sallyport-agent", failed)); diff != "" {
		t.Error(diff)
	}
}

func TestFreeNumberOfAnAccountOnMacOS(t *testing.T) {
	users := "_uucp                   4\nnobody                 -2\n_oahd 300\nada 501\n"
	groups := "daemon 1\n_oahd 300\n_x 301\n"
	if got := freeID(users, groups); got != 302 {
		t.Errorf("got %d, want 302", got)
	}
	full := ""
	for id := 300; id < 400; id++ {
		full += "x " + string(rune('0'+id/100)) + string(rune('0'+id/10%10)) + string(rune('0'+id%10)) + "\n"
	}
	if got := freeID(full); got != 0 {
		t.Errorf("got %d where every number is taken", got)
	}
	commands := dsclAccount("_sallyport-agent", 302)
	for _, want := range [][]string{
		{".", "-create", "/Groups/_sallyport-agent", "PrimaryGroupID", "302"},
		{".", "-create", "/Users/_sallyport-agent", "UniqueID", "302"},
		{".", "-create", "/Users/_sallyport-agent", "UserShell", "/usr/bin/false"},
		{".", "-create", "/Users/_sallyport-agent", "IsHidden", "1"},
	} {
		found := false
		for _, got := range commands {
			found = found || cmp.Equal(got, want)
		}
		if !found {
			t.Errorf("no %q in %q", want, commands)
		}
	}
	if diff := cmp.Diff([][]string{{".", "-delete", "/Users/_x"}, {".", "-delete", "/Groups/_x"}}, dsclRemoval("_x")); diff != "" {
		t.Error(diff)
	}
}
