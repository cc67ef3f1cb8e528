package secret

import (
	"context"
	"maps"
	"os"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/agent/hostpattern"
	"sallyport/proto"
)

// Settings are what agent.yaml says of secrets.
type Settings struct {
	Secrets map[string]Source
	Vault   VaultSettings
}

// Source is one secret: exactly one of File, Variable, Command and Vault says
// where its value comes from.
type Source struct {
	File     string
	Variable string // of the environment
	Command  []string
	Vault    *VaultPath
	// Hosts are those to which it may be sent; empty: any that the policy allows.
	Hosts []hostpattern.Pattern
	// KeepFor is how long a value is used again; 0: as long as suits the kind.
	KeepFor time.Duration
	// Timeout bounds Command; 0: defaultTimeout.
	Timeout time.Duration
}

const (
	// maxValue is the longest value, in bytes.
	maxValue = 64 << 10
	// defaultTimeout is how long a command or Vault may take.
	defaultTimeout = 10 * time.Second

	// How long a value is used again by default: a file is read anew soon, since
	// it costs little; the environment of a process does not change.
	keepFile     = 10 * time.Second
	keepVariable = time.Hour
	keepFetched  = time.Minute // of a command and of Vault
	// keepFailure keeps a crowd of requests from asking again and again, and is
	// over before a person has mended what was wrong.
	keepFailure = time.Second
)

// Options configure a Store.
type Options struct {
	Env   func(string) (string, bool) // nil means os.LookupEnv
	Clock func() time.Time            // nil means time.Now
}

// Store has the secrets' values. It is safe for concurrent use.
type Store struct {
	opts    Options
	current atomic.Pointer[edition]
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	fetches sync.WaitGroup
	replace sync.Mutex // held by Replace
}

// edition is what one configuration makes.
type edition struct {
	settings Settings
	held     map[string]*held
	vault    *vault // nil: not configured
}

// Prepared are settings that can be put into use.
type Prepared struct {
	settings Settings
	vault    *vault // nil: not configured
}

// Prepare looks at settings, and says what is wrong with them. Whether a secret
// can be had shows when it is needed.
func Prepare(s Settings) (*Prepared, error) {
	v, err := newVault(s.Vault)
	if err != nil {
		return nil, err
	}
	return &Prepared{settings: s, vault: v}, nil
}

// New makes a Store; Close it.
func New(p *Prepared, o Options) *Store {
	if o.Env == nil {
		o.Env = os.LookupEnv
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	st := &Store{opts: o}
	st.ctx, st.cancel = context.WithCancel(context.Background())
	st.current.Store(&edition{})
	st.Replace(p)
	return st
}

// Replace applies other settings from the next request on. Values of secrets
// that stay as they are stay known.
func (st *Store) Replace(p *Prepared) {
	st.replace.Lock()
	defer st.replace.Unlock()
	old, s := st.current.Load(), p.settings
	next := &edition{settings: s, held: make(map[string]*held, len(s.Secrets)), vault: old.vault}
	// Files that it names are read when it is made, so only one without is the same.
	sameVault := old.vault != nil && old.settings.Vault == s.Vault && s.Vault.CAFile == ""
	if !sameVault {
		next.vault = p.vault
	}
	for name, source := range s.Secrets {
		known, same := old.held[name], false
		if known != nil {
			same = reflect.DeepEqual(known.source, source) && (source.Vault == nil || sameVault)
		}
		if !same {
			known = &held{name: name, source: source}
		}
		next.held[name] = known
	}
	st.current.Store(next)
	if !sameVault {
		old.vault.close()
	}
}

// Close ends what is being fetched, and waits for it.
func (st *Store) Close() {
	st.cancel()
	st.fetches.Wait()
	st.current.Load().vault.close()
}

// Names are those of all secrets, sorted.
func (st *Store) Names() []string { return slices.Sorted(maps.Keys(st.current.Load().held)) }

// Unrestricted are the names of secrets that may be sent to any host that the
// policy allows, sorted: worth a warning, since the relay chooses the host.
func (st *Store) Unrestricted() []string {
	var names []string
	for name, h := range st.current.Load().held {
		if len(h.source.Hosts) == 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// held is one secret and what is known of its value.
type held struct {
	name   string
	source Source

	mu     sync.Mutex // guards the following
	flight *flight    // the last fetch; nil: there was none
}

// flight is one fetch of a value, for all who ask meanwhile and for a while.
type flight struct {
	done chan struct{}

	// Set before done is closed, read after.
	value string
	err   *proto.Error
	until time.Time
}

func (f *flight) stale(now time.Time) bool {
	select {
	case <-f.done:
		return !now.Before(f.until)
	default:
		return false
	}
}

// value is the secret's value, fetched where it is not known, or no longer.
func (st *Store) value(ctx context.Context, e *edition, h *held) (string, *proto.Error) {
	h.mu.Lock()
	f := h.flight
	if f == nil || f.stale(st.opts.Clock()) {
		f = &flight{done: make(chan struct{})}
		h.flight = f
		st.fetches.Go(func() { st.fly(e, h, f) })
	}
	h.mu.Unlock()
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		return "", &proto.Error{Code: proto.CodeCanceled, Outcome: proto.OutcomeNotSent, Err: ctx.Err(),
			Detail: "The request was given up while a secret of the agent was being fetched."}
	}
}

// fly fetches. It is nobody's request: whoever began it may leave.
func (st *Store) fly(e *edition, h *held, f *flight) {
	defer close(f.done)
	f.value, f.err = st.fetch(e, h)
	keep := h.source.keep()
	if f.err != nil {
		f.value, keep = "", min(keep, keepFailure)
	}
	f.until = st.opts.Clock().Add(keep)
}

func (s Source) keep() time.Duration {
	switch {
	case s.KeepFor > 0:
		return s.KeepFor
	case s.File != "":
		return keepFile
	case s.Variable != "":
		return keepVariable
	}
	return keepFetched
}

func (st *Store) fetch(e *edition, h *held) (string, *proto.Error) {
	var value string
	var err *proto.Error
	switch s := h.source; {
	case s.File != "":
		value, err = fromFile(h.name, s.File)
	case s.Variable != "":
		value, err = fromVariable(h.name, s.Variable, st.opts.Env)
	case len(s.Command) > 0:
		value, err = fromCommand(st.ctx, h.name, s)
	default:
		value, err = e.vault.secret(st.ctx, h.name, *s.Vault, st.opts.Clock)
	}
	if err == nil && (value == "" || len(value) > maxValue) {
		err = unusableLength(h.name, len(value))
	}
	return value, err
}
