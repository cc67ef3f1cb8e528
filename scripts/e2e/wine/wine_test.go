// Package wine runs the agent as a Windows program, with Wine in Windows's
// place: its service control manager registers, starts and stops services, but
// has no virtual accounts, no delayed start, no recovery actions, and looks at
// no access lists. What is told of those is tested by package agent/service. It
// holds no code but tests.
package wine

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/apiclient"
	"sallyport/internal/testkit"
)

// prng is what Go asks of bcryptprimitives.dll, which Wine 8 does not have.
const prng = `#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE p, SIZE_T n) { return SystemFunction036(p, (ULONG)n); }
BOOL WINAPI DllMain(HINSTANCE h, DWORD r, LPVOID l) { return TRUE; }
`

// windows is a Windows of the test's own.
type windows struct {
	t    *testing.T
	wine string // the program
	env  []string
	dir  string // with the prefix, and what is run
}

func newWindows(t *testing.T) *windows {
	t.Helper()
	w := &windows{t: t, dir: t.TempDir(), wine: "/usr/lib/wine/wine64"}
	if _, err := os.Stat(w.wine); err != nil {
		testkit.Missing(t, "wine64", w.wine+" is not there")
	}
	gcc := testkit.Program(t, "x86_64-w64-mingw32-gcc", "x86_64-w64-mingw32-gcc-posix")
	w.env = append(os.Environ(), "WINEPREFIX="+filepath.Join(w.dir, "prefix"), "WINEDEBUG=-all",
		"WINEDLLOVERRIDES=bcryptprimitives=n;mscoree=;mshtml=", "DISPLAY=", "HTTPS_PROXY=", "HTTP_PROXY=")
	t.Cleanup(func() {
		for _, what := range []string{"-k", "-w"} { // end, and wait for the end
			end := exec.Command("/usr/lib/wine/wineserver64", what)
			end.Env = w.env
			_ = end.Run() // it has ended by itself, then
		}
	})
	if out, err := w.run(nil, "wineboot", "-i"); err != nil {
		t.Fatalf("make a Windows: %v\n%s", err, out)
	}
	settled := exec.CommandContext(t.Context(), "/usr/lib/wine/wineserver64", "-w")
	settled.Env = w.env
	if err := settled.Run(); err != nil { // or what is started now meets one that ends
		t.Fatalf("wait for Wine: %v", err)
	}
	w.stayOn()
	source := filepath.Join(w.dir, "prng.c")
	if err := os.WriteFile(source, []byte(prng), 0o644); err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(w.dir, "prefix/drive_c/windows/system32/bcryptprimitives.dll")
	if out, err := exec.Command(gcc, "-shared", "-o", library, source, "-ladvapi32").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return w
}

// stayOn keeps a program running: Wine ends its services with the last program
// that is none.
func (w *windows) stayOn() {
	w.t.Helper()
	waiting := exec.Command(w.wine, "cmd", "/c", "set /p line=")
	waiting.Env = w.env
	line, err := waiting.StdinPipe() // which nobody writes
	if err == nil {
		err = waiting.Start()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = line.Close()
		_ = waiting.Process.Kill()
		_ = waiting.Wait()
	})
}

// build builds the agent for Windows.
func (w *windows) build(name, version string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-X sallyport/internal/buildinfo.version="+version, "-o", path, "./agent")
	cmd.Dir, cmd.Env = testkit.ModuleRoot(w.t), append(os.Environ(), "CGO_ENABLED=0", "GOOS=windows", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("build for Windows: %v\n%s", err, out)
	}
	return path
}

// run runs a program. Its output goes through a file: the service that it may
// start holds on to whatever it was given.
func (w *windows) run(env []string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	file, err := os.CreateTemp(w.dir, "out")
	if err != nil {
		return "", err
	}
	defer file.Close()
	cmd := exec.CommandContext(ctx, w.wine, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = w.dir, append(w.env, env...), file, file
	err = cmd.Run()
	out, readErr := os.ReadFile(file.Name())
	return string(bytes.ReplaceAll(out, []byte("\r\n"), []byte("\n"))), errors.Join(err, readErr)
}

func (w *windows) must(t *testing.T, want string, args ...string) {
	t.Helper()
	out, err := w.run(nil, args...)
	if err != nil || !strings.Contains(out, want) {
		t.Fatalf("%s: %v, want %q in\n%s", strings.Join(args[1:], " "), err, want, out)
	}
}

func TestAsAWindowsService(t *testing.T) {
	w := newWindows(t)
	agent, newer := w.build("sallyport-agent.exe", "1.0.0"), w.build("newer.exe", "1.1.0")
	api := startRelay(t)
	site, err := api.CreateAgent(t.Context(), "Plant 2 ERP")
	if err != nil {
		t.Fatal(err)
	}
	code, err := api.EnrolmentCode(t.Context(), site.ID)
	if err != nil {
		t.Fatal(err)
	}
	await := func(status string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		if err := api.AwaitAgent(ctx, site.ID, status); err != nil {
			t.Fatal(err)
		}
	}
	instance := func() (id, version string) {
		t.Helper()
		a, err := api.Agent(t.Context(), site.ID)
		if err != nil || len(a.Instances) != 1 {
			t.Fatalf("%v, %+v", err, a)
		}
		return a.Instances[0].ID, a.Instances[0].Version
	}

	w.must(t, "sallyport-agent 1.0.0", agent, "version")
	w.must(t, "0 failed", agent, "doctor", "--relay", api.Base, "--proxy", "none")

	if out, err := w.run(nil, agent, "install", "--relay", api.Base, "--proxy", "none", "--code", "AAAAA"); err == nil || !strings.Contains(out, "as it was before") {
		t.Fatalf("with a wrong code: %v\n%s", err, out)
	}
	if left, _ := filepath.Glob(filepath.Join(w.dir, "prefix/drive_c/Program*/Sallyport/*")); len(left) > 0 {
		t.Errorf("a failed installation left %v", left)
	}
	out, err := w.run([]string{"SALLYPORT_CODE=" + code}, agent, "install", "--relay", api.Base, "--proxy", "none", "--allow", "http://127.0.0.1:8090/**")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if last := lines[len(lines)-1]; err != nil || !strings.HasPrefix(last, "Online as ") || !strings.HasSuffix(last, ` (agent "Plant 2 ERP"), `+latency(last)+" ms to the relay") {
		t.Fatalf("%v\n%s", err, out)
	}
	await("online")
	id, version := instance()
	if version != "1.0.0" {
		t.Errorf("it is version %s", version)
	}
	w.must(t, "sallyport-agent running", agent, "status")

	w.must(t, "Stopped sallyport-agent", agent, "stop")
	await("offline")
	if out, err := w.run(nil, agent, "status"); err == nil || !strings.Contains(out, "sallyport-agent stopped") {
		t.Errorf("%v\n%s", err, out)
	}
	w.must(t, "Started sallyport-agent", agent, "start")
	await("online")
	w.must(t, "Restarted sallyport-agent", agent, "restart")
	await("online")

	w.must(t, "Online as ", newer, "install")
	if now, version := instance(); now != id || version != "1.1.0" {
		t.Errorf("upgraded, %s became %s, version %s", id, now, version)
	}
	w.must(t, "Stopped and removed sallyport-agent", agent, "uninstall")
	await("offline")
	if left, _ := filepath.Glob(filepath.Join(w.dir, "prefix/drive_c/Program Files/Sallyport*")); len(left) > 0 {
		t.Errorf("uninstalled, there is %v", left)
	}
	w.must(t, "Online as ", newer, "install") // as itself
	if now, _ := instance(); now != id {
		t.Errorf("installed again, %s became %s", id, now)
	}
	w.must(t, "Stopped and removed sallyport-agent", agent, "uninstall")
}

// latency is the number before "ms" in the last line of install.
func latency(line string) string {
	words := strings.Fields(line)
	if len(words) < 5 {
		return "?"
	}
	return words[len(words)-5]
}

// startRelay starts a relay on loopback.
func startRelay(t *testing.T) *apiclient.Client {
	t.Helper()
	dir := t.TempDir()
	if err := testkit.BuildPrograms(dir, map[string]string{"sallyport-relay": "./relay"}); err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))
	api := &apiclient.Client{Base: "http://" + address, Token: "sally_e2e" + rand.Text(), HTTP: &http.Client{}}
	t.Cleanup(api.HTTP.CloseIdleConnections)
	testkit.Start(t, testkit.ProcessOptions{
		Name: "relay", Path: filepath.Join(dir, "sallyport-relay"), Env: []string{"SALLYPORT_BOOTSTRAP_TOKEN=" + api.Token},
		Args: []string{"serve", "--listen", address, "--public-url", api.Base, "--data", filepath.Join(dir, "relay")},
	})
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if err := api.AwaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return api
}
