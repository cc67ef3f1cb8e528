// Package reload keeps a running agent at what its agent.yaml says: when the
// file has changed, or somebody asks, it is read anew, and taken whole or not
// at all. A faulty edit changes nothing: what was in use stays in use, and the
// State says what is wrong with the file until somebody has mended it.
//
// Package cli makes a Keeper and says how a configuration is taken. The package
// knows nothing of what a key means, and never writes the file.
package reload

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"sallyport/agent/config"
)

// Options configure a Keeper.
type Options struct {
	File string // agent.yaml, whether or not it exists; "": none, so nothing is watched
	// Load reads the configuration anew, flags and environment included.
	Load func() (config.Config, error)
	// Take puts a configuration into use, all of it that can change at run time,
	// or, with an error, nothing. forced: what the files say that it names may
	// have changed too.
	Take func(before, after config.Config, forced bool) error
	// Changed is told each new State; nil: nobody is.
	Changed func(State)
	Log     *zap.Logger
	Clock   func() time.Time // nil: time.Now
	// Quiet is how long a file must have stayed as it is before it is read: an
	// editor may write in several steps. Default 250 ms.
	Quiet time.Duration
	// LookEvery is how often the file is looked at where no notice of a change
	// has come, as none does from some network file systems. Default 15 s.
	LookEvery time.Duration
}

// State is which configuration is in use, and what keeps the file's from it.
type State struct {
	File     string
	Version  string // of the configuration in use; see config.Config.Version
	LoadedAt time.Time
	// Restart are the keys whose values in the file differ from those in use,
	// and can only be taken by a new run of the agent.
	Restart []string
	// Err is what is wrong with the last edit, and Since when it was seen; nil
	// while there is nothing.
	Err   error
	Since time.Time
}

// Keeper keeps the configuration up to date. Make it with New.
type Keeper struct {
	opts Options
	log  *zap.Logger

	one sync.Mutex // held while a configuration is read and taken

	mu    sync.Mutex // guards the following
	state State
	inUse config.Config
	seen  sighting // what was read last, good or bad
	held  sighting // what was taken last
	said  string   // the error that was logged last
}

// New makes a Keeper of an agent that runs with the configuration inUse.
func New(inUse config.Config, o Options) *Keeper {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Quiet == 0 {
		o.Quiet = 250 * time.Millisecond
	}
	if o.LookEvery == 0 {
		o.LookEvery = 15 * time.Second
	}
	k := &Keeper{opts: o, log: o.Log, inUse: inUse}
	k.seen = look(o.File)
	k.held = k.seen
	k.state = State{File: o.File, Version: inUse.Version(), LoadedAt: o.Clock()}
	return k
}

// State is how things stand.
func (k *Keeper) State() State {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state
}

// Reload reads the configuration now, changed or not, because cause asks for
// it, and says what has become of it: State.Err is nil where it is in use.
func (k *Keeper) Reload(cause string) State { return k.reload(cause, true) }

// check reads the file where it is another one than was read last. One that was
// not taken is tried again now and then: what it names may exist by now.
func (k *Keeper) check(again bool) {
	k.mu.Lock()
	failed := k.state.Err != nil
	k.mu.Unlock()
	if again && failed || k.differs() {
		k.reload("the file has changed", false)
	}
}

// differs reports whether the file is another one than was read last.
func (k *Keeper) differs() bool {
	k.mu.Lock()
	seen := k.seen
	k.mu.Unlock()
	return look(k.opts.File) != seen
}

func (k *Keeper) reload(cause string, forced bool) State {
	k.one.Lock()
	defer k.one.Unlock()
	now := look(k.opts.File)
	k.mu.Lock()
	before, held := k.inUse, k.held
	k.seen = now
	k.mu.Unlock()
	err := now.missing(held)
	var after config.Config
	if err == nil {
		after, err = k.opts.Load()
	}
	var restart []string
	if err == nil {
		restart = config.NeedRestart(before, after)
		after = after.Keeping(restart, before)
		err = k.opts.Take(before, after, forced)
	}
	if err != nil {
		return k.refuse(err, cause, forced)
	}
	return k.took(before, after, restart, now, cause)
}

// refuse notes that the last edit was not taken.
func (k *Keeper) refuse(err error, cause string, forced bool) State {
	k.mu.Lock()
	if k.state.Err == nil {
		k.state.Since = k.opts.Clock()
	}
	k.state.Err = err
	news := k.said != err.Error()
	k.said = err.Error()
	state := k.state
	k.mu.Unlock()
	if news || forced {
		k.log.Warn("configuration not taken; the one before stays in use", zap.String("cause", cause), zap.Strings("faults", strings.Split(err.Error(), "\n")))
	}
	if news {
		k.tell(state)
	}
	return state
}

// took notes that the configuration is in use.
func (k *Keeper) took(before, after config.Config, restart []string, now sighting, cause string) State {
	changed := config.Changed(before, after)
	k.mu.Lock()
	k.inUse, k.held, k.said = after, now, ""
	k.state = State{File: k.opts.File, Version: after.Version(), LoadedAt: k.opts.Clock(), Restart: restart}
	state := k.state
	k.mu.Unlock()
	k.log.Info("configuration taken", zap.String("cause", cause), zap.Strings("changed", changed), zap.String("version", state.Version))
	if len(restart) > 0 {
		k.log.Warn("part of the configuration waits for a restart of the agent", zap.Strings("keys", restart))
	}
	k.tell(state)
	return state
}

func (k *Keeper) tell(s State) {
	if k.opts.Changed != nil {
		k.opts.Changed(s)
	}
}

// sighting is what a file held at a glance.
type sighting struct {
	there  bool
	blank  bool // nothing, or white space
	failed string
	digest [sha256.Size]byte
}

func look(path string) sighting {
	if path == "" {
		return sighting{}
	}
	text, err := config.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return sighting{}
	case err != nil:
		return sighting{there: true, failed: err.Error()}
	}
	return sighting{there: true, blank: len(strings.TrimSpace(string(text))) == 0, digest: sha256.Sum256(text)}
}

// ErrVanished: a file that said something says nothing any more. A running
// agent takes that for an accident: it would open what the policy in it closed.
var ErrVanished = errors.New("what it said before stays in use; to do without it, restart the agent")

// missing compares with what was taken last.
func (s sighting) missing(held sighting) error {
	switch {
	case held.there && !s.there:
		return fmt.Errorf("the configuration file is gone: %w", ErrVanished)
	case held.there && !held.blank && s.blank && s.failed == "":
		return fmt.Errorf("the configuration file is empty: %w", ErrVanished)
	}
	return nil
}

// Run watches the file, and reloads for every signal, until ctx ends. signals
// may be nil.
func (k *Keeper) Run(ctx context.Context, signals <-chan os.Signal) {
	changes := newWatch(k.opts.File, k.log)
	defer changes.close()
	ticker := time.NewTicker(k.opts.LookEvery)
	defer ticker.Stop()
	see := func(again bool) {
		changes.again()
		if !k.differs() || changes.settle(ctx, k.opts.Quiet) {
			changes.again() // a link may lead elsewhere by now
			k.check(again)
		}
	}
	see(false) // it may have changed before it was watched
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-signals:
			k.Reload("signal " + s.String())
		case <-ticker.C:
			see(true)
		case <-changes.wake:
			see(false)
		}
	}
}
