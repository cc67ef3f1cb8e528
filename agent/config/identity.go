package config

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// IdentityFile is the identity's name within the data directory.
const IdentityFile = "identity.json"

// ErrNotEnrolled: the data directory holds no identity.
var ErrNotEnrolled = errors.New("this machine is not enrolled")

// Identity is what enrolment settled: who this machine is, to which relay. Its
// key was made here and never leaves the machine.
type Identity struct {
	AgentID    string `json:"agentId"`
	InstanceID string `json:"instanceId"`
	AgentName  string `json:"agentName"`
	RelayID    string `json:"relayId"`
	Relay      string `json:"relay"`            // URL
	CAFile     string `json:"caFile,omitempty"` // absolute path; see Config.CAFile
	Seed       []byte `json:"privateKey"`       // 32 bytes (RFC 8032), base64 in the file
}

// Key is the private key.
func (i Identity) Key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(i.Seed) }

// LoadIdentity reads the identity in dir. It refuses a file that other users
// of the machine can read, since the key in it is then no secret.
func LoadIdentity(dir string) (Identity, error) {
	path := filepath.Join(dir, IdentityFile)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, fmt.Errorf("%w (%s does not exist)", ErrNotEnrolled, path)
	}
	if err != nil {
		return Identity{}, fmt.Errorf("read identity: %w", err)
	}
	if err := checkPrivate(path, info); err != nil {
		return Identity{}, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Identity{}, fmt.Errorf("read identity: %w", err)
	}
	var id Identity
	if err := json.Unmarshal(text, &id); err != nil {
		return Identity{}, fmt.Errorf("%s is damaged (%w): enrol this machine again with --replace", path, err)
	}
	if id.AgentID == "" || id.InstanceID == "" || id.Relay == "" || len(id.Seed) != ed25519.SeedSize {
		return Identity{}, fmt.Errorf("%s is not complete: enrol this machine again with --replace", path)
	}
	return id, nil
}

// Place is where a file will stand once it is written. It is reserved first, so
// that a one-time code is not used up before the result can be kept.
type Place struct {
	path string
	tmp  *os.File
}

// Reserve makes dir, where needed, and a temporary file in it that only this
// user can read.
func Reserve(dir, name string) (*Place, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	tmp, err := os.CreateTemp(dir, "."+name+"-*") // 0600
	if err != nil {
		return nil, fmt.Errorf("write in the data directory: %w", err)
	}
	return &Place{path: filepath.Join(dir, name), tmp: tmp}, nil
}

// Write puts the value there as JSON, whole or not at all. The file belongs to
// whom the directory does: what an administrator's command writes, the agent has
// to read, which runs as a user without privileges.
func (p *Place) Write(value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err == nil {
		_, err = p.tmp.Write(append(text, '\n'))
	}
	if err == nil {
		err = p.tmp.Sync()
	}
	if err == nil {
		err = sameOwner(p.tmp, filepath.Dir(p.path))
	}
	if closeErr := p.tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(p.tmp.Name(), p.path)
	}
	if err != nil {
		_ = os.Remove(p.tmp.Name())
		return fmt.Errorf("write %s: %w", p.path, err)
	}
	return nil
}

// Release gives the place up.
func (p *Place) Release() {
	_ = p.tmp.Close()
	_ = os.Remove(p.tmp.Name()) // gone already where Write succeeded
}
