package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// realVault is HashiCorp Vault's own code, on loopback.
type realVault struct {
	t       *testing.T
	http    *http.Client
	url     string
	root    string // its root token
	unseals string // the key that unseals it
}

func startVault(t *testing.T, s *stage) *realVault {
	t.Helper()
	program := filepath.Join(testkit.ModuleRoot(t), "bin", "dev", "vaultserver")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	if _, err := os.Stat(program); err != nil {
		testkit.Missing(t, "HashiCorp Vault", "`make vault` builds it into bin/dev")
	}
	dir := t.TempDir()
	cert, key := s.authority.Issue(t, dir, "vault", "127.0.0.1")
	address := fmt.Sprintf("127.0.0.1:%d", freePortAt(t, "127.0.0.1"))
	testkit.Start(t, testkit.ProcessOptions{Name: "vault", Path: program, Args: []string{"--listen", address, "--cert", cert, "--key", key}})
	v := &realVault{t: t, http: s.api.HTTP, url: "https://" + address}
	var made struct {
		Keys      []string `json:"keys"`
		RootToken string   `json:"root_token"`
	}
	testkit.Eventually(t, 30*time.Second, "Vault is up", func() error {
		return v.try("PUT", "sys/init", object{"secret_shares": 1, "secret_threshold": 1}, &made)
	})
	v.root, v.unseals = made.RootToken, made.Keys[0]
	v.call("PUT", "sys/unseal", object{"key": v.unseals}, nil)
	v.call("POST", "sys/mounts/secret", object{"type": "kv", "options": object{"version": "2"}}, nil)
	v.call("PUT", "sys/policies/acl/sallyport", object{"policy": `path "secret/data/plant2/*" { capabilities = ["read"] }`}, nil)
	v.call("POST", "sys/auth/approle", object{"type": "approle"}, nil)
	v.call("POST", "auth/approle/role/sallyport", object{"token_policies": "sallyport", "token_ttl": "20m"}, nil)
	testkit.Eventually(t, 30*time.Second, "the engine is of version 2", func() error { // it says so while it upgrades
		return v.try("POST", "secret/data/plant2/erp", object{"data": object{"password": "first"}}, nil)
	})
	return v
}

func (v *realVault) call(method, path string, body, answer any) {
	v.t.Helper()
	if err := v.try(method, path, body, answer); err != nil {
		v.t.Fatal(err)
	}
}

func (v *realVault) try(method, path string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(v.t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, v.url+"/v1/"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("X-Vault-Request", "true")
	if v.root != "" {
		req.Header.Set("X-Vault-Token", v.root)
	}
	resp, err := v.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		var said struct{ Errors []string }
		_ = json.NewDecoder(resp.Body).Decode(&said)
		return fmt.Errorf("%s %s: %s %v", method, path, resp.Status, said.Errors)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}

// appRole is a role id, and a secret id of it.
func (v *realVault) appRole() (roleID, secretID string) {
	v.t.Helper()
	var role struct {
		Data struct {
			RoleID string `json:"role_id"`
		}
	}
	v.call("GET", "auth/approle/role/sallyport/role-id", nil, &role)
	var secret struct {
		Data struct {
			SecretID string `json:"secret_id"`
		}
	}
	v.call("POST", "auth/approle/role/sallyport/secret-id", object{}, &secret)
	return role.Data.RoleID, secret.Data.SecretID
}

// TestSecretsComeFromHashiCorpVault: from Vault's own code, by AppRole and by a
// token, through agent and relay as built.
func TestSecretsComeFromHashiCorpVault(t *testing.T) {
	s := newStageAt(t, nil, "127.0.0.1", "")
	v := startVault(t, s)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Key"))
	}))
	t.Cleanup(app.Close)
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(s.agentData, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	configure := func(signIn string) {
		t.Helper()
		secrets := "secrets:\n"
		for name, path := range map[string]string{"erp": "plant2/erp, field: password", "other": "plant3/erp", "absent": "plant2/absent", "gone": "plant2/gone", "late": "plant2/late"} {
			secrets += fmt.Sprintf("  %s: {vault: {path: %s}, hosts: [127.0.0.1], keepFor: 100ms}\n", name, path)
		}
		write("agent.yaml", fmt.Sprintf("%svault:\n  address: %s\n  caFile: %q\n%s", secrets, v.url, s.authority.File, signIn))
		if out, err := s.agentCommand("reload"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	// says tests a connection with a secret in a header.
	says := func(secret string) testResult {
		t.Helper()
		return s.test(t, object{"name": "App", "mode": "on-premise", "agentId": s.agentID, "baseUri": app.URL, "auth": object{"type": "none"},
			"headers": []object{{"name": "X-Key", "value": "{{agent.secret." + secret + "}}"}}, "ping": object{"uri": "/"}})
	}
	sent := func(id, want string) error {
		if a := s.get(t, id, "/"); a.body != want {
			return fmt.Errorf("the application was sent %q, %s", a.body, a.Status)
		}
		return nil
	}

	roleID, secretID := v.appRole()
	configure(fmt.Sprintf("  roleId: %s\n  secretIdFile: %q\n", roleID, write("secret-id", secretID+"\n")))
	id := s.save(t, object{"name": "App", "mode": "on-premise", "agentId": s.agentID, "baseUri": app.URL, "auth": object{"type": "none"},
		"headers": []object{{"name": "X-Key", "value": "{{agent.secret.erp}}"}}})
	if err := sent(id, "first"); err != nil {
		t.Fatal(err)
	}
	v.call("POST", "secret/data/plant2/erp", object{"data": object{"password": "second"}}, nil)
	testkit.Eventually(t, 20*time.Second, "the new version is used", func() error { return sent(id, "second") })

	v.call("POST", "secret/data/plant2/gone", object{"data": object{"value": "x"}}, nil)
	v.call("DELETE", "secret/data/plant2/gone", nil, nil)
	v.call("POST", "secret/data/plant3/erp", object{"data": object{"value": "x"}}, nil)
	for secret, want := range map[string]string{
		"other": `path "secret/data/plant3/erp" { capabilities = ["read"] }`, "absent": "Correct mount: and path:", "gone": "undelete the version",
	} {
		if r := says(secret); r.OK || r.Steps[2].Code != "secret_unavailable" || !strings.Contains(r.Steps[2].Hint, want) {
			t.Errorf("%s: %+v", secret, r.Steps)
		}
	}

	var token struct {
		Auth struct {
			ClientToken string `json:"client_token"`
		}
	}
	v.call("POST", "auth/token/create", object{"policies": []string{"sallyport"}, "ttl": "20m"}, &token)
	configure(fmt.Sprintf("  tokenFile: %q\n", write("token", token.Auth.ClientToken+"\n")))
	if err := sent(id, "second"); err != nil {
		t.Error(err)
	}

	v.call("PUT", "sys/seal", nil, nil)
	if r := says("late"); r.OK || !strings.Contains(r.Steps[2].Message+r.Steps[2].Hint, "Unseal Vault") {
		t.Errorf("sealed: %+v", r.Steps)
	}
	v.call("PUT", "sys/unseal", object{"key": v.unseals}, nil)
	testkit.Eventually(t, 30*time.Second, "unsealed, it serves again", func() error { return sent(id, "second") })

	configure(fmt.Sprintf("  roleId: %s\n  secretIdFile: %q\n", roleID, write("secret-id", "11111111-2222-3333-4444-555555555555\n")))
	testkit.Eventually(t, 20*time.Second, "a secret id that is none is refused", func() error {
		if r := says("erp"); r.OK || !strings.Contains(r.Steps[2].Message, "Vault refused the AppRole") {
			return errors.New(r.Steps[2].Message)
		}
		return nil
	})
	for _, secret := range []string{"second", secretID, v.root} {
		if lines := s.agentLog.Lines(secret); len(lines) > 0 {
			t.Errorf("the agent's log has %q", lines[0])
		}
	}
}

// agentCommand runs one of the agent's commands beside it.
func (s *stage) agentCommand(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "sallyport-agent"), append(args, "--data", s.agentData)...).CombinedOutput()
	return string(out), err
}
