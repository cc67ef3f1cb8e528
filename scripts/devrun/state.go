package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sallyport/internal/claim"
)

// state is what devrun remembers from one start to the next, beside what relay
// and agent keep themselves.
type state struct {
	AgentID string `json:"agentId"`
	// SamplePort is kept so that connections saved with it go on working.
	SamplePort int `json:"samplePort"`
}

// folder is devrun's own folder within the data folder.
type folder string

func (f folder) path(name string) string { return filepath.Join(string(f), name) }

// claim keeps another devrun from the folder, until release.
func (f folder) claim() (release func() error, err error) {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return nil, err
	}
	return claim.Take(f.path("lock"))
}

// load reads the state; at the first start there is none.
func (f folder) load() (state, error) {
	var s state
	b, err := os.ReadFile(f.path("state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("%s: %w; delete it to start afresh", f.path("state.json"), err)
	}
	return s, nil
}

func (f folder) save(s state) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return f.write("state.json", append(b, '\n'))
}

// token is the API token of devrun itself, "" where there is none yet.
func (f folder) token() (string, error) {
	b, err := os.ReadFile(f.path("token"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(b)), err
}

func (f folder) saveToken(token string) error { return f.write("token", []byte(token+"\n")) }

// write replaces a file in one step and lets only its owner read it.
func (f folder) write(name string, data []byte) error {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return err
	}
	temporary := f.path(name + ".new")
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, f.path(name))
}
