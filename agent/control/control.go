// Package control lets another process of this machine ask a running agent how
// it is, and have it do what its commands say: a loopback endpoint whose address
// and token stand in a file that only the agent's own user can read. Package cli
// serves it in `run` and asks it in `status`, `reload`, `pause` and others.
//
// It holds no rule: what a command does is for the Agent and the Actions that
// Serve is given.
package control

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"sallyport/agent/config"
	"sallyport/proto"
)

// File is the endpoint's file within the data directory.
const File = "control.json"

// Status is what `status --json` prints. State is one of link's (connecting,
// online, refused, offline), or "not_running" or "not_enrolled".
type Status struct {
	State      string   `json:"state"`
	Agent      string   `json:"agent"` // its name
	AgentID    string   `json:"agentId"`
	InstanceID string   `json:"instanceId"`
	Relay      string   `json:"relay"`
	Tunnels    []Tunnel `json:"tunnels"`
	LatencyMs  float64  `json:"latencyMs"`           // of the best tunnel; 0 while unknown
	LastError  string   `json:"lastError,omitempty"` // why it is not online
	// EarlierError is what went wrong last, and EarlierErrorAt when, while it is
	// online.
	EarlierError   string    `json:"earlierError,omitempty"`
	EarlierErrorAt time.Time `json:"earlierErrorAt,omitzero"`
	Since          time.Time `json:"since,omitzero"`   // of the state
	RetryAt        time.Time `json:"retryAt,omitzero"` // when the relay is dialled next
	Version        string    `json:"version"`
	UptimeSeconds  int64     `json:"uptimeSeconds"`
	InFlight       int       `json:"inFlight"` // requests under way
	ClockOffsetMs  int64     `json:"clockOffsetMs,omitempty"`
	Policy         *Policy   `json:"policy,omitempty"`  // that applies; absent while no agent runs
	Secrets        *Secrets  `json:"secrets,omitempty"` // absent while no agent runs
	Config         *Config   `json:"config,omitempty"`  // in use; absent while no agent runs
	// ConfigError is why the last edit of the configuration file was not taken,
	// a fault a line, and ConfigErrorSince when that was seen.
	ConfigError      string    `json:"configError,omitempty"`
	ConfigErrorSince time.Time `json:"configErrorSince,omitzero"`
	// Paused says since when, until when and why the site has paused it; absent
	// where it has not.
	Paused   *proto.Paused `json:"paused,omitempty"`
	Requests *Requests     `json:"requests,omitempty"` // since it was started
	LogLevel string        `json:"logLevel,omitempty"`
	// LostEntries and LostLines are what the disk did not take of the ledger and
	// of the log.
	LostEntries int64 `json:"lostEntries,omitempty"`
	LostLines   int64 `json:"lostLines,omitempty"`
}

// Requests counts those that have ended.
type Requests struct {
	Total  int64 `json:"total"`
	Failed int64 `json:"failed"` // allowed, and no answer came
	Denied int64 `json:"denied"` // by the policy
	Paused int64 `json:"paused"` // refused because of the pause
}

// Config is which configuration is in use.
type Config struct {
	File     string    `json:"file,omitempty"` // that is watched
	Version  string    `json:"version"`        // the same for the same values
	LoadedAt time.Time `json:"loadedAt"`
	// NeedsRestart are the keys whose values in the file wait for a restart.
	NeedsRestart []string `json:"needsRestart,omitempty"`
}

// Secrets are those of the site, by name alone.
type Secrets struct {
	Names   []string `json:"names"`
	Warning string   `json:"warning,omitempty"`
}

// Policy is what may be reached, in short.
type Policy struct {
	Version string `json:"version"` // the same for the same rules
	Rules   int    `json:"rules"`
	Default string `json:"default"`           // what becomes of what no rule matches: allow or deny
	Warning string `json:"warning,omitempty"` // where more may be reached than rules name
}

// Tunnel is one tunnel that is up.
type Tunnel struct {
	ID          string    `json:"id"`
	ConnectedAt time.Time `json:"connectedAt"`
	LatencyMs   float64   `json:"latencyMs"`
	InFlight    int       `json:"inFlight"`
}

// endpoint is the content of File.
type endpoint struct {
	Address string `json:"address"`
	Token   string `json:"token"`
	PID     int    `json:"pid"`
}

// Server is the endpoint of a running agent.
type Server struct {
	http    *http.Server
	address string
	path    string
	done    chan struct{}
}

// Agent is what the endpoint reaches of a running agent.
type Agent struct {
	Status func() Status
	// Reload reads the configuration anew, and returns the status afterwards.
	Reload func() Status
}

// Serve opens the endpoint and writes its file into dir.
func Serve(dir string, agent Agent, actions ...Action) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open the control endpoint: %w", err)
	}
	e := endpoint{Address: listener.Addr().String(), Token: rand.Text(), PID: os.Getpid()}
	place, err := config.Reserve(dir, File)
	if err == nil {
		err = place.Write(e)
	}
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	s := &Server{
		http:    &http.Server{Handler: e.guard(agent.routes(actions)), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second},
		address: e.Address, path: filepath.Join(dir, File), done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(listener) // ends with Close
	}()
	return s, nil
}

// routes are all that can be asked for.
func (a Agent) routes(actions []Action) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { answer(w, a.Status()) })
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, _ *http.Request) { answer(w, a.Reload()) })
	for _, do := range actions {
		mux.Handle("POST "+do.path, do)
	}
	return mux
}

// guard lets in who has read the endpoint's file.
func (e endpoint) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+e.Token)) != 1 {
			http.Error(w, "wrong token", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // the asker is gone, then
}

// Close closes the endpoint and takes its file away.
func (s *Server) Close() {
	_ = os.Remove(s.path)
	_ = s.http.Close()
	<-s.done
}

// ErrNotRunning: no agent runs with this data directory.
var ErrNotRunning = errors.New("the agent is not running")

// Ask asks the agent that runs with this data directory how it is.
func Ask(ctx context.Context, dir string) (Status, error) {
	return statusOf(call(ctx, dir, http.MethodGet, "/status", nil))
}

// Reload has the agent that runs with this data directory read its configuration
// anew. Status.ConfigError says whether it was taken.
func Reload(ctx context.Context, dir string) (Status, error) {
	return statusOf(call(ctx, dir, http.MethodPost, "/reload", nil))
}

func statusOf(answer []byte, err error) (Status, error) {
	if err != nil {
		return Status{}, err
	}
	var status Status
	if err := json.Unmarshal(answer, &status); err != nil {
		return Status{}, fmt.Errorf("read the agent's answer: %w", err)
	}
	return status, nil
}

// maxAnswer is the longest answer that is read, in bytes.
const maxAnswer = 1 << 20

// answerTime is how long an agent may take to answer.
const answerTime = 10 * time.Second

// call sends one request to the agent that runs with this data directory.
func call(ctx context.Context, dir, method, path string, body io.Reader) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(dir, File))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, fmt.Errorf("find the running agent: %w", err)
	}
	var e endpoint
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("find the running agent: %s: %w", File, err)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+e.Address+path, body)
	if err != nil {
		return nil, fmt.Errorf("find the running agent: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+e.Token)
	// Not the default transport: the environment's proxy is not for loopback.
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, fmt.Errorf("the agent (process %d) has not answered within %s: it hangs, or was halted. Restart it; if that recurs, its log says what it did last", e.PID, answerTime)
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("ask the agent (process %d): %w", e.PID, ctx.Err())
		}
		return nil, ErrNotRunning // the file is a left-over of one that was killed
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the agent's answer: %w", err)
	}
	switch {
	case resp.StatusCode == http.StatusOK:
		return answer, nil
	case method == http.MethodGet:
		return nil, ErrNotRunning // another program has taken the port
	}
	return nil, refusal(resp.StatusCode, answer)
}
