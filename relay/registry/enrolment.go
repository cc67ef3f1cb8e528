package registry

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/event"
	"sallyport/relay/store"
	"sallyport/relay/throttle"
)

// enrolmentLifetime is how long a code is good for: the time to walk to the
// machine, not to leave it in a chat.
const enrolmentLifetime = time.Hour

// Enrolment is a one-time code and the commands that use it. The code is shown
// once; the store has its hash only.
type Enrolment struct {
	Code      string
	ExpiresAt time.Time
	Commands  Commands
	// Fetched are the systems whose command brings the agent's program along.
	// On others it has to be there.
	Fetched Installable
}

// CreateEnrolment makes a code by which one machine can be enrolled under an
// agent.
func (r *Registry) CreateEnrolment(ctx context.Context, actor account.Actor, agentID string) (Enrolment, error) {
	if err := mayEdit(actor, "install agents"); err != nil {
		return Enrolment{}, err
	}
	code := newCode()
	now := r.Store.Now()
	row := store.EnrolmentCode{AgentID: agentID, CreatedBy: actor.Name, CreatedAt: now, ExpiresAt: now.Add(enrolmentLifetime)}
	err := r.workspace(actor).Atomically(ctx, func(w *store.Workspace) error {
		agent, err := w.Agent(ctx, agentID)
		if err != nil {
			return err
		}
		if err := w.CreateEnrolmentCode(ctx, row, hashCode(code)); err != nil {
			return err
		}
		return r.audit(ctx, w, actor, change{"agent.enrolment_code", "agent", agentID, agent.Name, ""})
	})
	if err != nil {
		return Enrolment{}, fault(err, "agent")
	}
	var fetched Installable
	if r.Installable != nil {
		fetched = r.Installable()
	}
	return Enrolment{Code: code, ExpiresAt: row.ExpiresAt, Commands: commandsFor(r.PublicURL, code, fetched), Fetched: fetched}, nil
}

// EnrolRequest is what a machine sends to be enrolled.
type EnrolRequest struct {
	Code      string
	PublicKey []byte // Ed25519, 32 bytes
	Hostname  string
	OS, Arch  string
	Version   string // of the agent's program
	// Address is the caller's network address, with or without its port:
	// nothing but the code proves anything here, so wrong ones slow it down.
	Address string
}

// Enrolled is the identity of a machine from now on.
type Enrolled struct {
	AgentID    string
	InstanceID string
	AgentName  string
	RelayID    string
}

// Enrol exchanges a one-time code for an identity. The code is the proof; of
// several callers with the same one, exactly one is enrolled.
func (r *Registry) Enrol(ctx context.Context, req EnrolRequest) (Enrolled, error) {
	if err := req.check(); err != nil {
		return Enrolled{}, err
	}
	from := throttle.ByAddress(req.Address)
	if wait := r.enrolTries.Take(from); wait > 0 {
		return Enrolled{}, triedTooOften(wait, "Too many enrolment codes were tried from this address.")
	}
	in := store.Instance{ID: store.NewID("ins"), PublicKey: req.PublicKey, Hostname: req.Hostname,
		OS: req.OS, Arch: req.Arch, Version: req.Version, EnrolledAt: r.Store.Now()}
	agent, code, err := r.Store.Enrol(ctx, hashCode(req.Code), in, func(w *store.Workspace, agent store.Agent, code store.EnrolmentCode) error {
		machine := account.Actor{Kind: "agent", ID: in.ID, Name: in.Hostname}
		return r.audit(ctx, w, machine, change{"instance.enrol", "agent", agent.ID, agent.Name, "by a code of " + code.CreatedBy})
	})
	if err != nil {
		return Enrolled{}, refusedCode(err, code)
	}
	r.enrolTries.Forgive(from)
	r.publish(code.WorkspaceID, event.AgentChanged, agent.ID)
	return Enrolled{AgentID: agent.ID, InstanceID: in.ID, AgentName: agent.Name, RelayID: r.RelayID}, nil
}

func refusedCode(err error, code store.EnrolmentCode) error {
	const again = "Make a new one: open the agent's page, “Install an agent”."
	refuse := func(reason proto.Reason, detail string) error {
		return &proto.Error{Code: proto.CodeUnauthorized, Reason: reason, Detail: detail, Hint: again, Err: err}
	}
	switch {
	case errors.Is(err, store.ErrUsed):
		return refuse("code_used", "This enrolment code was already used, on "+code.UsedAt.Format("2 January 2006 at 15:04 UTC")+". A code is good for one machine.")
	case errors.Is(err, store.ErrExpired):
		return refuse("code_expired", "This enrolment code expired on "+code.ExpiresAt.Format("2 January 2006 at 15:04 UTC")+".")
	case errors.Is(err, store.ErrNotFound):
		return refuse("code_unknown", "This enrolment code is not known to this relay.")
	}
	return fault(err, "agent")
}

// check bounds what a stranger can have stored and shown.
func (req *EnrolRequest) check() error {
	if len(req.PublicKey) != ed25519.PublicKeySize || string(req.PublicKey) == strings.Repeat("\x00", ed25519.PublicKeySize) {
		return &proto.Error{Code: proto.CodeValidation, Detail: fmt.Sprintf("The public key must be an Ed25519 key of %d bytes.", ed25519.PublicKeySize)}
	}
	if strings.TrimSpace(req.Code) == "" || len(req.Code) > 100 {
		return &proto.Error{Code: proto.CodeValidation, Detail: "The enrolment code is missing or too long.",
			Hint: "Copy the whole command from the agent's page."}
	}
	fields := []struct {
		name  string
		value *string
		max   int // bytes; a host name has at most 253 (RFC 1035, section 2.3.4)
	}{
		{"host name", &req.Hostname, 253}, {"operating system", &req.OS, 32}, {"architecture", &req.Arch, 32}, {"version", &req.Version, 64},
	}
	for _, f := range fields {
		if len(*f.value) > f.max || !utf8.ValidString(*f.value) || strings.ContainsFunc(*f.value, unicode.IsControl) {
			return &proto.Error{Code: proto.CodeValidation, Detail: fmt.Sprintf("The %s must be plain text of at most %d bytes.", f.name, f.max)}
		}
	}
	return nil
}

// codeLetters leaves out I, L, O and U, which people misread (Crockford's
// alphabet).
const codeLetters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// newCode makes a code of 125 random bits, in groups that can be read out.
func newCode() string {
	var b [16]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	letters := base32.NewEncoding(codeLetters).WithPadding(base32.NoPadding).EncodeToString(b[:])[:25]
	return strings.Join([]string{letters[:5], letters[5:10], letters[10:15], letters[15:20], letters[20:]}, "-")
}

// misread undoes what happens to codes that are typed in.
var misread = strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1")

func hashCode(code string) []byte {
	sum := sha256.Sum256([]byte(misread.Replace(strings.ToUpper(strings.TrimSpace(code)))))
	return sum[:]
}
