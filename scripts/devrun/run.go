package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/apiclient"
	"sallyport/internal/child"
	"sallyport/internal/claim"
)

// agentName is the name of the agent on the machine of a developer.
const agentName = "This machine"

// firstSamplePort is where the sample application is, unless that is taken.
const firstSamplePort = 8090

// readyWithin is how long a part may take to come up on a slow machine.
const readyWithin = 60 * time.Second

type options struct {
	port     int
	data     string
	bin      string
	database string
	logLevel string
}

// runner brings the parts up and down.
type runner struct {
	options
	out   *output
	own   folder
	state state
	api   *apiclient.Client
	parts []*child.Child // in the order in which they were started
	// paused: the agent was paused by its own command, an earlier time.
	paused bool
}

// run brings everything up, waits until ctx ends or a part dies, and takes
// everything down.
func run(ctx context.Context, o options, to io.Writer) (err error) {
	r := &runner{
		options: o,
		out:     &output{to: to},
		own:     folder(filepath.Join(o.data, "devrun")),
		api: &apiclient.Client{
			Base: fmt.Sprintf("http://127.0.0.1:%d", o.port),
			HTTP: &http.Client{Timeout: 10 * time.Second},
		},
	}
	release, err := r.own.claim()
	if errors.Is(err, claim.ErrTaken) {
		return fmt.Errorf("make run is running with the folder %s already: stop it there, or choose another port and another folder: make run PORT=%d DATA=elsewhere", o.data, nextFree(o.port+1))
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if r.state, err = r.own.load(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	link, err := r.start(ctx)
	if err != nil {
		return err
	}
	r.out.printf("%s", welcome(r.api.Base, link, r.state.SamplePort, r.own.path("token")))
	if r.paused {
		r.out.printf("%s", pausedText(r.agentPath(), r.agentData()))
	}
	return r.watch(ctx)
}

// start brings the parts up in order and returns the sign-in link.
func (r *runner) start(ctx context.Context) (link string, err error) {
	if !free(r.port) {
		return "", fmt.Errorf("port %d is taken by another program; choose another one: make run PORT=%d", r.port, nextFree(r.port+1))
	}
	if err := r.startSample(); err != nil {
		return "", err
	}
	if err := r.startRelay(ctx); err != nil {
		return "", err
	}
	if err := r.haveToken(ctx); err != nil {
		return "", err
	}
	if err := r.startAgent(ctx); err != nil {
		return "", err
	}
	return r.relayCommand(ctx, "user", "link", "--public-url", r.api.Base)
}

func (r *runner) startSample() error {
	port := r.state.SamplePort
	if port == 0 {
		port = nextFree(firstSamplePort)
	} else if !free(port) {
		taken := port
		port = nextFree(port + 1)
		r.out.printf("\nPort %d, where the sample application was last time, is taken by another program.\n"+
			"It is on port %d now: connections that you saved need their base URI changed.\n\n", taken, port)
	}
	r.state.SamplePort = port
	if err := r.own.save(r.state); err != nil {
		return err
	}
	return r.launch("sample", filepath.Join(r.bin, "dev", exe("sampleapp")),
		"--listen", fmt.Sprintf("127.0.0.1:%d", port), "--user", sampleUser, "--password", samplePassword)
}

func (r *runner) startRelay(ctx context.Context) error {
	err := r.launch("relay", r.relayPath(), append([]string{"serve",
		"--listen", fmt.Sprintf("127.0.0.1:%d", r.port),
		"--allow-private-targets", "loopback",
		"--log-level", r.logLevel}, r.storeFlags()...)...)
	if err != nil {
		return err
	}
	return r.await(ctx, r.api.AwaitReady)
}

// storeFlags say where the relay keeps what it stores.
func (r *runner) storeFlags() []string {
	flags := []string{"--data", r.data}
	if r.database != "" {
		flags = append(flags, "--database", r.database)
	}
	return flags
}

// haveToken sees to it that the client has an API token that the relay takes.
func (r *runner) haveToken(ctx context.Context) error {
	token, err := r.own.token()
	if err != nil {
		return err
	}
	if r.api.Token = token; token != "" {
		err := r.api.Do(ctx, "GET", "/api/v1/agents?limit=1", nil, nil)
		var problem *apiclient.Problem
		if !errors.As(err, &problem) || problem.Status != http.StatusUnauthorized {
			return err
		}
	}
	r.api.Token, err = r.relayCommand(ctx, "token", "create", "make run", "--role", "admin")
	if err != nil {
		return err
	}
	return r.own.saveToken(r.api.Token)
}

// startAgent starts the agent, enrolled at the first start, and waits until it
// is online, or is seen to be paused, which outlives a restart.
func (r *runner) startAgent(ctx context.Context) error {
	if r.state.AgentID != "" {
		_, err := r.api.Agent(ctx, r.state.AgentID)
		var problem *apiclient.Problem
		switch {
		case errors.As(err, &problem) && problem.Status == http.StatusNotFound:
			r.state.AgentID = "" // it was deleted
		case err != nil:
			return err
		}
	}
	if r.state.AgentID == "" {
		if err := r.enroll(ctx); err != nil {
			return err
		}
	}
	// The relay is named again, as its port may be another one this time.
	if err := r.launch("agent", r.agentPath(), "run", "--data", r.agentData(), "--relay", r.api.Base,
		"--log-level", r.logLevel, "--log-format", "console"); err != nil {
		return err
	}
	return r.await(ctx, func(ctx context.Context) error {
		if err := r.api.AwaitAgent(ctx, r.state.AgentID, "online", "paused"); err != nil {
			return err
		}
		a, err := r.api.Agent(ctx, r.state.AgentID)
		r.paused = a.Status == "paused"
		return err
	})
}

// enroll makes an agent, and this machine its one instance.
func (r *runner) enroll(ctx context.Context) error {
	agent, err := r.api.CreateAgent(ctx, agentName)
	if err != nil {
		return err
	}
	code, err := r.api.EnrolmentCode(ctx, agent.ID)
	if err != nil {
		return err
	}
	// Remembered only once it is enrolled: an enrolment that failed is tried
	// again at the next start.
	cmd := exec.CommandContext(ctx, r.agentPath(), "enroll", "--relay", r.api.Base, "--data", r.agentData(), "--replace")
	cmd.Env = append(os.Environ(), "SALLYPORT_CODE="+code)
	if _, err := finish(cmd); err != nil {
		return errors.Join(err, r.api.Do(ctx, "DELETE", "/api/v1/agents/"+agent.ID, nil, nil))
	}
	r.state.AgentID = agent.ID
	return r.own.save(r.state)
}

// launch starts a part whose output goes to the terminal.
func (r *runner) launch(name, path string, args ...string) error {
	c, err := child.Start(child.Options{Name: name, Path: path, Args: args, Output: r.out.of(name)})
	if err != nil {
		return err
	}
	r.parts = append(r.parts, c)
	return nil
}

// await waits for a condition, but no longer than for the death of a part.
func (r *runner) await(ctx context.Context, condition func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, errors.New("it took too long"))
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- condition(ctx) }()
	dead := r.died(ctx)
	select {
	case err := <-done:
		return err
	case err := <-dead:
		cancel()
		<-done
		return err
	}
}

// watch waits until ctx ends, or returns an error that says which part has died.
func (r *runner) watch(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return <-r.died(ctx)
}

// fullName is what people call a part.
func fullName(part string) string {
	if part == "sample" {
		return "sample application"
	}
	return part
}

// cause is why a part has ended.
func cause(err error) string {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "by itself and without an error"
	case errors.As(err, &exit) && exit.ExitCode() < 0: // by a signal
		return "from outside (" + exit.Error() + ")"
	}
	return "by itself with " + err.Error()
}

// died yields the error of the first part that ends, or of ctx.
func (r *runner) died(ctx context.Context) <-chan error {
	first := make(chan error, len(r.parts)+1)
	for _, c := range r.parts {
		go func() {
			select {
			case <-c.Done():
				first <- fmt.Errorf("the %s has ended, %s; what it wrote last is above. The other parts were stopped", fullName(c.Name()), cause(c.Err()))
			case <-ctx.Done():
				first <- context.Canceled
			}
		}()
	}
	return first
}

// stop takes the parts down: the agent first, so that it leaves in good order,
// then the relay, then the sample application.
func (r *runner) stop() error {
	if len(r.parts) > 0 {
		r.out.printf("\nstopping\n")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var errs []error
	for i := len(r.parts) - 1; i >= 0; i-- {
		errs = append(errs, r.parts[i].Stop(ctx))
	}
	return errors.Join(errs...)
}

func (r *runner) relayPath() string { return filepath.Join(r.bin, exe("sallyport-relay")) }
func (r *runner) agentPath() string { return filepath.Join(r.bin, exe("sallyport-agent")) }
func (r *runner) agentData() string { return filepath.Join(r.data, "agent") }

// relayCommand runs a command of the relay's on its store, and returns the
// last line that it prints.
func (r *runner) relayCommand(ctx context.Context, args ...string) (string, error) {
	out, err := finish(exec.CommandContext(ctx, r.relayPath(), append(args, r.storeFlags()...)...))
	return lastLine(out), err
}

// finish runs a program to its end and returns its standard output.
func finish(cmd *exec.Cmd) (string, error) {
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", filepath.Base(cmd.Path), cmd.Args[1], err, stderr.String())
	}
	return string(out), nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}

func exe(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}

// free reports whether nothing listens on a port of this machine.
func free(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// nextFree is the first free port from the given one on.
func nextFree(port int) int {
	for port < 65535 && !free(port) {
		port++
	}
	return port
}
