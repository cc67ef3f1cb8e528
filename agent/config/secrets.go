package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"sallyport/agent/hostpattern"
	"sallyport/agent/secret"
)

// longestCommand is the longest time that a command may be given.
const longestCommand = 5 * time.Minute

// Secrets is the key secrets: those of the site's own, by name. It is checked
// when it is read.
type Secrets map[string]Secret

// Secret says where the value of one comes from, and where it may go. Exactly
// one of File, Env, Command and Vault is set.
type Secret struct {
	File    string        `yaml:"file,omitempty"`
	Env     string        `yaml:"env,omitempty"`
	Command []string      `yaml:"command,omitempty"`
	Vault   VaultPath     `yaml:"vault,omitempty"`
	Hosts   []string      `yaml:"hosts,omitempty"`
	KeepFor time.Duration `yaml:"keepFor,omitempty"`
	Timeout time.Duration `yaml:"timeout,omitempty"`
}

// VaultPath is one value in a key-value engine of version 2.
type VaultPath struct {
	Mount string `yaml:"mount,omitempty"`
	Path  string `yaml:"path,omitempty"`
	Field string `yaml:"field,omitempty"`
}

// Vault is the key vault: how secrets are had from HashiCorp Vault.
type Vault struct {
	Address      string `yaml:"address,omitempty"`
	Namespace    string `yaml:"namespace,omitempty"`
	CAFile       string `yaml:"caFile,omitempty"`
	TokenFile    string `yaml:"tokenFile,omitempty"`
	RoleID       string `yaml:"roleId,omitempty"`
	SecretIDFile string `yaml:"secretIdFile,omitempty"`
	AppRoleMount string `yaml:"appRoleMount,omitempty"`
}

// UnmarshalYAML reads the key's value. Its error joins all that is wrong.
func (s *Secrets) UnmarshalYAML(node *yaml.Node) error {
	r := &reader{}
	if r.kind("secrets", node, yaml.MappingNode, "names and, below each, where its value comes from") {
		r.entries("secrets", node, reflect.ValueOf(s).Elem())
	}
	for i := 0; len(r.faults.List) == 0 && i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if _, err := (*s)[key.Value].source(key.Value); err != nil {
			r.faults.add(key.Line, "secrets.%s: %v", shown(key.Value), err)
		}
	}
	return r.faults.joined()
}

// Masked implements Masker: what a command is given may be a password itself.
func (s Secrets) Masked() any {
	shown := make(Secrets, len(s))
	for name, secret := range s {
		if len(secret.Command) > 1 {
			command := append([]string(nil), secret.Command[0])
			for range secret.Command[1:] {
				command = append(command, Masked)
			}
			secret.Command = command
		}
		shown[name] = secret
	}
	return shown
}

// source is the secret as its room takes it, or what is wrong with it.
func (s Secret) source(name string) (secret.Source, error) {
	if name == "" || len(name) > 64 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") != "" {
		return secret.Source{}, errors.New(`a name has up to 64 letters, digits, "_", "-" and "."`)
	}
	out := secret.Source{File: s.File, Variable: s.Env, Command: s.Command, KeepFor: s.KeepFor, Timeout: s.Timeout}
	sources := 0
	for _, set := range []bool{s.File != "", s.Env != "", len(s.Command) > 0, s.Vault != VaultPath{}} {
		if set {
			sources++
		}
	}
	switch {
	case sources != 1:
		return out, errors.New("expected exactly one of file, env, command and vault")
	case s.File != "" && !filepath.IsAbs(s.File):
		// What it depended on would be another place for a service than for the
		// admin who tries it out.
		return out, fmt.Errorf("file: %q is not a whole path: write it from the root on", s.File)
	case len(s.Command) > 0 && !filepath.IsAbs(s.Command[0]):
		return out, fmt.Errorf("command: %q is not a whole path: write it from the root on", s.Command[0])
	case s.Vault != VaultPath{} && s.Vault.Path == "":
		return out, errors.New("vault: path is missing: where the secret is, such as plant2/erp")
	case s.Timeout != 0 && len(s.Command) == 0:
		return out, errors.New("timeout is for a command")
	case s.KeepFor < 0 || s.Timeout < 0:
		return out, errors.New("a time can't be negative")
	case s.Timeout > longestCommand:
		return out, fmt.Errorf("timeout: a command may take %s at most: requests wait for it", longestCommand)
	}
	if s.Vault.Path != "" {
		out.Vault = &secret.VaultPath{Mount: s.Vault.Mount, Path: s.Vault.Path, Field: s.Vault.Field}
	}
	for _, text := range s.Hosts {
		p, err := hostpattern.Parse(text)
		if err != nil {
			return out, fmt.Errorf("hosts: %w", err)
		}
		out.Hosts = append(out.Hosts, p)
	}
	return out, nil
}

// PrepareSecrets makes what the room of secrets takes.
func (c Config) PrepareSecrets() (*secret.Prepared, error) {
	settings := secret.Settings{Secrets: make(map[string]secret.Source, len(c.Secrets)), Vault: secret.VaultSettings(c.Vault)}
	for name, s := range c.Secrets {
		source, err := s.source(name)
		if err != nil {
			return nil, fmt.Errorf("secrets.%s: %w", name, err)
		}
		settings.Secrets[name] = source
	}
	return secret.Prepare(settings)
}
