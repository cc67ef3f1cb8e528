package cli

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/agent/config"
	"sallyport/agent/control"
	"sallyport/agent/link"
	"sallyport/agent/service"
	"sallyport/proto"
)

// machine is a service.Host within a directory. What it is told to do it notes;
// its services answer as a running agent does.
type machine struct {
	t      *testing.T
	layout service.Layout
	fails  string        // the method that fails
	state  service.State // of the service
	owner  string        // the package that owns the program
	will   string        // the state of the link once it is started
	does   []string
	server *control.Server
}

func newMachine(t *testing.T) *machine {
	dir := t.TempDir()
	m := &machine{t: t, state: service.NotInstalled, will: link.StateOnline, layout: service.Layout{
		Service: "sallyport-agent.service", Account: "sallyport-agent", Binary: filepath.Join(dir, "bin", "sallyport-agent"),
		ConfigDir: filepath.Join(dir, "etc"), DataDir: filepath.Join(dir, "lib"), Definition: filepath.Join(dir, "unit"),
	}}
	t.Cleanup(m.close)
	return m
}

func (m *machine) close() {
	if m.server != nil {
		m.server.Close()
	}
	m.server = nil
}

// do notes a step, and fails where it is to.
func (m *machine) do(step string) error {
	m.does = append(m.does, step)
	if step == m.fails {
		return errors.New("the machine does not want to " + step)
	}
	return nil
}

func (m *machine) Layout() service.Layout { return m.layout }
func (m *machine) Ready() error           { return nil }

func (m *machine) AddAccount(context.Context) (bool, error) {
	err := m.do("add account")
	return err == nil && m.state == service.NotInstalled, err
}
func (m *machine) Package() string { return m.owner }

func (m *machine) RemoveAccount(context.Context) error { return m.do("remove account") }

func (m *machine) MakeDir(path string, _ service.Access) error {
	if err := m.do("make " + filepath.Base(path)); err != nil {
		return err
	}
	return os.MkdirAll(path, 0o755)
}

func (m *machine) Grant(path string, access service.Access) error {
	if filepath.Base(path) == config.IdentityFile {
		return m.do("grant identity")
	}
	return nil
}

func (m *machine) Install(_ context.Context, binary string) (func(context.Context) error, error) {
	before, had := m.state, m.state != service.NotInstalled
	m.state = service.Stopped
	undo := func(context.Context) error {
		if had {
			m.state = before
			return m.do("put the service back")
		}
		m.state = service.NotInstalled
		return m.do("uninstall")
	}
	return undo, m.do("install " + filepath.Base(binary))
}

func (m *machine) Uninstall(context.Context) error {
	m.state = service.NotInstalled
	return m.do("uninstall")
}

func (m *machine) Start(ctx context.Context) error { return m.Restart(ctx) }

func (m *machine) Stop(context.Context) error {
	m.close()
	m.state = service.Stopped
	return m.do("stop")
}

func (m *machine) Restart(context.Context) error {
	m.close()
	if err := m.do("restart"); err != nil {
		return err
	}
	m.state = service.Running
	state, err := m.will, error(nil)
	m.server, err = control.Serve(m.layout.DataDir, control.Agent{Status: func() control.Status {
		return control.Status{State: state, Agent: "Plant 2", LatencyMs: 34.2, LastError: "the enrolment was revoked", Tunnels: []control.Tunnel{}}
	}})
	return err
}

func (m *machine) Status(context.Context) (service.Status, error) {
	return service.Status{Name: m.layout.Service, State: m.state, AtBoot: true}, nil
}

// left lists what lies on the machine.
func (m *machine) left() []string {
	var found []string
	root := filepath.Dir(m.layout.ConfigDir)
	_ = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(root, path)
			found = append(found, filepath.ToSlash(name))
		}
		return nil
	})
	return found
}

// wholeRelay is a relay at which doctor passes, machines enrol and leave.
func wholeRelay(t *testing.T) (url string, left *int) {
	left = new(int)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != proto.EnrollPath:
			tunnels(w, r)
		case r.Method == http.MethodDelete && r.URL.Query().Get("instanceId") == "ins_1" && r.Header.Get(proto.HeaderLeave) != "":
			*left++
			w.WriteHeader(http.StatusNoContent)
		default:
			enrolment(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, left
}

// command runs the program on the machine.
func (m *machine) command(args ...string) (out string, status int) {
	m.t.Helper()
	var text bytes.Buffer
	status = Main(args, World{In: strings.NewReader(""), Out: &text, Err: &text, Env: func(name string) (string, bool) {
		if name == "SALLYPORT_CODE" {
			return "GOOD", true
		}
		return "", false
	}, Host: func(string) (service.Host, error) { return m, nil }})
	return text.String(), status
}
