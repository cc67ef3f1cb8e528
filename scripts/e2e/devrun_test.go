package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/apiclient"
	"sallyport/internal/testkit"
)

// house is what `make run` starts, in a folder of its own.
type house struct {
	t          *testing.T // of the whole test
	port, data string
	api        *apiclient.Client
	process    *testkit.Process
}

func newHouse(t *testing.T) *house {
	t.Helper()
	port := strconv.Itoa(testkit.FreePort(t))
	return &house{
		t:    t,
		port: port, data: filepath.Join(t.TempDir(), "data"),
		api: &apiclient.Client{Base: "http://127.0.0.1:" + port, HTTP: &http.Client{Timeout: 30 * time.Second}},
	}
}

// start starts it and waits until it says that it is up.
func (h *house) start() {
	t := h.t
	t.Helper()
	h.process = testkit.Start(t, testkit.ProcessOptions{
		Name: "devrun", Path: filepath.Join(bin, "dev", "devrun"), Args: []string{"--port", h.port, "--data", h.data, "--bin", bin},
	})
	testkit.Eventually(t, time.Minute, "make run is up", func() error {
		select {
		case <-h.process.Done():
			t.Fatalf("it has ended: %v\n%s", h.process.Err(), h.process.Log())
		default:
		}
		if len(h.process.Log().Lines("Sallyport is up")) == 0 {
			return errors.New("it has not said so")
		}
		return nil
	})
	token, err := os.ReadFile(filepath.Join(h.data, "devrun", "token"))
	if err != nil {
		t.Fatal(err)
	}
	h.api.Token = strings.TrimSpace(string(token))
}

// interrupt is Ctrl-C. Everything must be gone soon, and without an error.
func (h *house) interrupt(t *testing.T) {
	t.Helper()
	if err := h.process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case <-h.process.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("still there 20 s after Ctrl-C")
	}
	if err := h.process.Err(); err != nil {
		t.Fatalf("ended with %v:\n%s", err, h.process.Log())
	}
	h.nothingLeft(t)
}

// nothingLeft waits until no process has the data folder or the binaries on
// its command line.
func (h *house) nothingLeft(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, 10*time.Second, "no process is left", func() error {
		found, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			return err
		}
		for _, path := range found {
			line, err := os.ReadFile(path)
			if err != nil {
				continue // it has ended meanwhile
			}
			if strings.Contains(string(line), h.data) {
				return fmt.Errorf("%s: %s", path, strings.ReplaceAll(string(line), "\x00", " "))
			}
		}
		return nil
	})
}

// shown is a value of the block that tells what to fill in.
func (h *house) shown(t *testing.T, label string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^ +` + regexp.QuoteMeta(label) + `  +(.+)$`).FindStringSubmatch(h.process.Log().String())
	if m == nil {
		t.Fatalf("%q is not in what make run printed:\n%s", label, h.process.Log())
	}
	return strings.TrimSpace(m[1])
}

// connection is what a person makes of the printed hint.
func (h *house) connection(t *testing.T) object {
	t.Helper()
	var agents struct {
		Items []apiclient.Agent `json:"items"`
	}
	if err := h.api.Do(t.Context(), "GET", "/api/v1/agents", nil, &agents); err != nil {
		t.Fatal(err)
	}
	if len(agents.Items) != 1 || agents.Items[0].Name != h.shown(t, "Agent") || agents.Items[0].Status != "online" {
		t.Fatalf("agents: %+v", agents.Items)
	}
	return object{
		"name": h.shown(t, "Name"), "mode": "on-premise", "agentId": agents.Items[0].ID,
		"baseUri": h.shown(t, "Base URI"), "mediaType": "json",
		"auth": object{"type": "cookie", "cookie": object{
			"method": h.shown(t, "Cookie method"), "uri": h.shown(t, "Cookie URI"), "body": h.shown(t, "Cookie body")}},
		"ping": object{"method": h.shown(t, "Ping method"), "uri": h.shown(t, "Ping URI"),
			"successPath": h.shown(t, "Ping success path"), "successValues": []string{h.shown(t, "Ping success values")}},
		"secrets": object{"password": h.shown(t, `Secret "password"`)},
	}
}

func TestMakeRun(t *testing.T) {
	h := newHouse(t)
	h.start()
	s := &stage{api: h.api}
	h.api.HTTP = http.DefaultClient
	connection := h.connection(t)
	if r := s.test(t, connection); !r.OK || r.statuses() != "agent ok, sign-in ok, ping ok" {
		t.Fatalf("what the hint says does not work: %+v", r)
	}
	id := s.save(t, connection)
	if a := s.get(t, id, "/orders"); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "Birch Foods") {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	for _, secret := range []string{filepath.Join("devrun", "token"), "keyset.json"} {
		info, err := os.Stat(filepath.Join(h.data, secret))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", secret, info.Mode())
		}
	}
	if strings.Contains(h.process.Log().String(), h.api.Token) {
		t.Error("the API token is on the terminal")
	}
	first := signInLink(t, h)
	h.interrupt(t)

	t.Run("a second start keeps everything", func(t *testing.T) {
		h.start()
		if a := s.get(t, id, "/orders"); a.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		h.connection(t) // still one agent, and online
		if second := signInLink(t, h); second == first {
			t.Error("the sign-in link is that of before")
		}
	})

	t.Run("a paused agent is said to be paused", func(t *testing.T) {
		agent := func(args ...string) {
			t.Helper()
			cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "sallyport-agent"), append(args, "--data", filepath.Join(h.data, "agent"))...)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		agent("pause", "--reason", "tried out")
		h.interrupt(t)
		h.start() // does not wait for ever until it is online
		testkit.Eventually(t, 20*time.Second, "it says so", func() error {
			if len(h.process.Log().Lines("sallyport-agent resume --data ")) == 0 {
				return errors.New("it does not")
			}
			return nil
		})
		agent("resume")
		testkit.Eventually(t, 20*time.Second, "it works", func() error {
			if a := s.get(t, id, "/orders"); a.StatusCode != http.StatusOK {
				return fmt.Errorf("%d %s", a.StatusCode, a.body)
			}
			return nil
		})
	})

	t.Run("a second one beside it says that the port is taken", func(t *testing.T) {
		p := testkit.Start(t, testkit.ProcessOptions{Name: "second", Path: filepath.Join(bin, "dev", "devrun"),
			Args: []string{"--port", h.port, "--data", filepath.Join(t.TempDir(), "data"), "--bin", bin}})
		if err := p.Err(); err == nil || !strings.Contains(p.Log().String(), "make run PORT=") {
			t.Fatalf("%v: %s", err, p.Log())
		}
	})

	t.Run("a second one with its folder says that it runs, and changes nothing", func(t *testing.T) {
		state := filepath.Join(h.data, "devrun", "state.json")
		before, err := os.ReadFile(state)
		if err != nil {
			t.Fatal(err)
		}
		p := testkit.Start(t, testkit.ProcessOptions{Name: "second", Path: filepath.Join(bin, "dev", "devrun"),
			Args: []string{"--port", strconv.Itoa(testkit.FreePort(t)), "--data", h.data, "--bin", bin}})
		if err := p.Err(); err == nil || !strings.Contains(p.Log().String(), "make run is running with the folder "+h.data+" already") {
			t.Fatalf("%v: %s", err, p.Log())
		}
		if after, err := os.ReadFile(state); err != nil || string(after) != string(before) {
			t.Errorf("%s, %v; before: %s", after, err, before)
		}
	})

	t.Run("killed, it leaves nothing running", func(t *testing.T) {
		if err := h.process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-h.process.Done()
		h.nothingLeft(t)
	})

	t.Run("another port keeps everything too", func(t *testing.T) {
		h.port = strconv.Itoa(testkit.FreePort(t))
		h.api.Base = "http://127.0.0.1:" + h.port
		h.start()
		h.connection(t)
		if a := s.get(t, id, "/orders"); a.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		h.interrupt(t)
	})
}

func TestMakeRunSaysWhichPartDied(t *testing.T) {
	h := newHouse(t)
	h.start()
	relay, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	killed := false
	for _, path := range relay {
		line, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(line), "sallyport-relay\x00serve") || !strings.Contains(string(line), h.data) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			t.Fatal(err)
		}
		process, err := os.FindProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		if err := process.Kill(); err != nil {
			t.Fatal(err)
		}
		killed = true
	}
	if !killed {
		t.Fatal("no relay found")
	}
	select {
	case <-h.process.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("it goes on without a relay")
	}
	if err := h.process.Err(); err == nil || !strings.Contains(h.process.Log().String(), "the relay has ended") {
		t.Fatalf("%v:\n%s", err, h.process.Log())
	}
	h.nothingLeft(t)
}

// signInLink follows the printed link as a browser does, and returns it.
func signInLink(t *testing.T, h *house) string {
	t.Helper()
	link := regexp.MustCompile(`http://\S+/sign-in/link/\S+`).FindAllString(h.process.Log().String(), -1)
	if len(link) == 0 {
		t.Fatalf("no sign-in link in:\n%s", h.process.Log())
	}
	last := link[len(link)-1]
	res, err := http.Get(last)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("the sign-in link answers %s", res.Status)
	}
	return last
}
