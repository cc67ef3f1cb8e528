package download

import (
	"bytes"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"sallyport/internal/testkit"
)

// recorder stands in for the agent's program: it notes how it was called.
const recorder = `#!/bin/sh
case $1 in
version) echo "sallyport-agent 1.2.3" ;;
*) printf '<%s>' "$@" >called; exit 3 ;;
esac
`

// site is a relay that serves a directory, and a machine that asks it.
type site struct {
	t    *testing.T
	url  string
	dir  string // of the downloads
	home string // where the script runs
}

func newSite(t *testing.T) *site {
	t.Helper()
	if runtime.GOOS != "linux" {
		testkit.Missing(t, "Linux", "the script is run by its shells")
	}
	s := &site{t: t, home: t.TempDir(), dir: fill(t, map[string]string{"sallyport-agent-linux-" + runtime.GOARCH: recorder})}
	server := httptest.NewServer(nil)
	t.Cleanup(server.Close)
	s.url = server.URL
	server.Config.Handler = shelf(t, s.dir, server.URL)
	return s
}

// pipe runs the script as `curl … | sh -s -- ARGS` does, and returns the exit
// status and what was said.
func (s *site) pipe(shell []string, script string, env []string, args ...string) (int, string) {
	s.t.Helper()
	command := append(append([]string{}, shell...), append([]string{"-s", "--"}, args...)...)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Stdin = s.home, strings.NewReader(script)
	cmd.Env = append(append(os.Environ(), "http_proxy=", "https_proxy=", "TMPDIR="+s.t.TempDir()), env...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	if cmd.ProcessState == nil {
		s.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), said.String()
}

func (s *site) script() string {
	return get(shelf(s.t, s.dir, s.url), "GET", "/install.sh").Body.String()
}

// shells are those that `sh` is on the systems that agents run on.
func shells(t *testing.T) map[string][]string {
	return map[string][]string{
		"dash": {testkit.Program(t, "dash")}, "busybox": {testkit.Program(t, "busybox"), "sh"}, "bash": {testkit.Program(t, "bash"), "--posix"},
	}
}

func TestShellScriptDownloadsAndChecks(t *testing.T) {
	testkit.Program(t, "curl")
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			status, said := s.pipe(shell, s.script(), nil, "--download-only")
			text, err := os.ReadFile(filepath.Join(s.home, "sallyport-agent"))
			if status != 0 || err != nil || string(text) != recorder || !strings.Contains(said, "Checked: sallyport-agent 1.2.3") {
				t.Errorf("%d %v: %s", status, err, said)
			}
		})
	}
}

func TestShellScriptHandsItsOptionsOn(t *testing.T) {
	testkit.Root(t)
	testkit.Program(t, "curl")
	if _, err := os.Stat("/usr/bin/sallyport-agent"); err == nil {
		testkit.Missing(t, "a machine without the agent's package", "/usr/bin/sallyport-agent is there")
	}
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			status, said := s.pipe(shell, s.script(), nil, "--code", "AB-CD", "--allow", `it's "$HOME" *`, "", "--proxy=none", "--instance", "plant2")
			called, err := os.ReadFile(filepath.Join(s.home, "called"))
			want := "<install><--relay><" + s.url + "><--code><AB-CD><--allow><it's \"$HOME\" *><><--proxy=none><--instance><plant2>"
			if status != 3 || err != nil || string(called) != want {
				t.Errorf("%d %v: called %s\n%s", status, err, called, said)
			}
		})
	}
}

func TestShellScriptRefusesWhatItCannotTrust(t *testing.T) {
	testkit.Program(t, "curl")
	shell := []string{testkit.Program(t, "dash")}
	program := "sallyport-agent-linux-" + runtime.GOARCH
	for _, c := range []struct {
		name   string
		change func(t *testing.T, s *site)
		want   []string
	}{
		{"a program that was changed", func(t *testing.T, s *site) { write(t, filepath.Join(s.dir, program), recorder+"#") },
			[]string{"damaged", "nothing was installed"}},
		{"a relay without downloads", func(t *testing.T, s *site) {
			if err := os.RemoveAll(s.dir); err != nil {
				t.Fatal(err)
			}
		}, []string{"404", "has the relay downloads"}},
		{"a program that does not run here", func(t *testing.T, s *site) {
			text := "#!/bin/sh\nexit 1\n"
			other := fill(t, map[string]string{program: text})
			for _, name := range []string{program, sumsName} {
				data, err := os.ReadFile(filepath.Join(other, name))
				if err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(s.dir, name), string(data))
			}
		}, []string{"does not run on this machine"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			c.change(t, s)
			status, said := s.pipe(shell, s.script(), nil, "--download-only")
			if status != 1 {
				t.Errorf("exit status %d", status)
			}
			for _, want := range c.want {
				if !strings.Contains(said, want) {
					t.Errorf("lacks %q: %s", want, said)
				}
			}
			if left, _ := os.ReadDir(s.home); len(left) > 0 {
				t.Errorf("something was left: %v", left)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// stand puts programs of that name and text before all others in PATH.
func stand(t *testing.T, programs map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return "PATH=" + dir + ":" + os.Getenv("PATH")
}

func TestShellScriptNamesWhatIsMissing(t *testing.T) {
	testkit.Program(t, "curl")
	shell := []string{testkit.Program(t, "dash")}
	for _, c := range []struct {
		name string
		here map[string]string
		args []string
		want string
	}{
		{"rights", map[string]string{"id": "echo 1000"}, []string{"--code", "X"}, "put sudo before sh"},
		{"system", map[string]string{"uname": `[ "$1" = -s ] && echo SunOS || echo x86_64`}, []string{"--download-only"}, "no agent for SunOS"},
		{"processor", map[string]string{"uname": `[ "$1" = -s ] && echo Linux || echo riscv64`}, []string{"--download-only"}, "no agent for the processor riscv64"},
		{"program for the processor", map[string]string{"uname": `[ "$1" = -s ] && echo Darwin || echo arm64`}, []string{"--download-only"}, "the relay has no sallyport-agent-darwin-arm64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			status, said := s.pipe(shell, s.script(), []string{stand(t, c.here)}, c.args...)
			if status != 1 || !strings.Contains(said, c.want) {
				t.Errorf("%d %s", status, said)
			}
		})
	}
}

func TestShellScriptThatBreaksOffDoesNothing(t *testing.T) {
	testkit.Program(t, "curl")
	s := newSite(t)
	shell := []string{testkit.Program(t, "dash")}
	script := s.script()
	for cut := 200; cut < len(script)-len("main \"$@\"\n"); cut += 331 {
		s.pipe(shell, script[:cut], nil, "--download-only")
		if left, _ := os.ReadDir(s.home); len(left) > 0 {
			t.Fatalf("cut at %d, it left %v", cut, left)
		}
	}
}

func TestShellScriptGoesByWgetThroughProxyAndAuthority(t *testing.T) {
	shell := []string{testkit.Program(t, "dash")}
	wget := testkit.Program(t, "wget")
	s := newSite(t)
	// A PATH without curl: the few programs that the script uses.
	dir := t.TempDir()
	for _, name := range []string{"wget", "sha256sum", "uname", "mktemp", "chmod", "rm", "mv", "sed", "cut", "grep", "sh", "id"} {
		path := wget
		if name != "wget" {
			path = testkit.Program(t, name)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	status, said := s.pipe(shell, s.script(), []string{"PATH=" + dir}, "--download-only")
	if _, err := os.Stat(filepath.Join(s.home, "sallyport-agent")); status != 0 || err != nil {
		t.Errorf("%d %v: %s", status, err, said)
	}
	// Through a proxy that is not there, nothing may arrive.
	for name, env := range map[string][]string{"wget": {"PATH=" + dir}, "curl": nil} {
		if name == "curl" {
			testkit.Program(t, "curl")
		}
		s.home = t.TempDir()
		status, said = s.pipe(shell, s.script(), env, "--download-only", "--relay", "http://relay.invalid", "--proxy", "http://127.0.0.1:1")
		if status != 1 || !strings.Contains(said, "--proxy URL") || strings.Contains(said, "resolve") {
			t.Errorf("%s: %d %s", name, status, said)
		}
	}
}

func TestShellScriptIsSound(t *testing.T) {
	shellcheck := testkit.Program(t, "shellcheck")
	if out, err := exec.Command(shellcheck, "--shell=sh", "install.sh").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
