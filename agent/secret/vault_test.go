package secret

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/proto"
)

// vaultServer answers as Vault's HTTP API is documented to: KV version 2 at
// secret/, AppRole at auth/approle, policies by token.
type vaultServer struct {
	*httptest.Server
	mu       sync.Mutex
	sealed   bool
	tokens   map[string]bool   // those that are valid
	secretID string            // of the role "role-1"; "": used up
	lease    int               // seconds, of a token of AppRole
	data     map[string]string // JSON by path
	asked    []string          // method, path and namespace
	logins   int
}

func newVaultServer(t *testing.T) *vaultServer {
	v := &vaultServer{tokens: map[string]bool{"root-token": true}, secretID: "sid-1", lease: 3600, data: map[string]string{
		"/v1/secret/data/plant2/erp":   `{"password":"hunter2!","port":8443,"nested":{"a":1}}`,
		"/v1/kv/data/erp":              `{"value":"other"}`,
		"/v1/secret/data/deleted":      "",
		"/v1/secret/data/plant2/a b/c": `{"value":"blank"}`,
	}}
	v.Server = httptest.NewTLSServer(v)
	t.Cleanup(v.Close)
	return v
}

func (v *vaultServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked = append(v.asked, r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Vault-Namespace"))
	fail := func(status int, text string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"errors":[%s]}`, text)
	}
	switch {
	case r.Header.Get("X-Vault-Request") != "true":
		fail(http.StatusPreconditionFailed, `"required X-Vault-Request header missing"`)
	case v.sealed:
		fail(http.StatusServiceUnavailable, `"Vault is sealed"`)
	case r.URL.Path == "/v1/auth/approle/login":
		v.login(w, r, fail)
	case !v.tokens[r.Header.Get("X-Vault-Token")]:
		fail(http.StatusForbidden, `"permission denied"`)
	case r.Method != http.MethodGet:
		fail(http.StatusMethodNotAllowed, `"unsupported operation"`)
	default:
		data, ok := v.data[r.URL.Path]
		switch {
		case !ok:
			fail(http.StatusNotFound, "")
		case data == "":
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"data":{"data":null,"metadata":{"deletion_time":"2026-01-01T00:00:00Z","destroyed":false,"version":3}}}`)
		default:
			fmt.Fprintf(w, `{"request_id":"1","lease_id":"","renewable":false,"lease_duration":0,"data":{"data":%s,"metadata":{"version":1}}}`, data)
		}
	}
}

func (v *vaultServer) login(w http.ResponseWriter, r *http.Request, fail func(int, string)) {
	var body map[string]string
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body["role_id"] != "role-1" || v.secretID == "" || body["secret_id"] != v.secretID {
		fail(http.StatusBadRequest, `"invalid role or secret ID"`)
		return
	}
	v.logins++
	token := fmt.Sprintf("approle-token-%d", v.logins)
	v.tokens[token] = true
	fmt.Fprintf(w, `{"auth":{"client_token":%q,"accessor":"a","policies":["default"],"lease_duration":%d,"renewable":true}}`, token, v.lease)
}

func (v *vaultServer) change(f func()) { v.mu.Lock(); defer v.mu.Unlock(); f() }

// settings reach the server.
func (v *vaultServer) settings(t *testing.T) VaultSettings {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: v.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return VaultSettings{Address: v.URL, CAFile: ca}
}

func (v *vaultServer) store(t *testing.T, p VaultPath, c *clock, change func(*VaultSettings)) *Store {
	s := v.settings(t)
	change(&s)
	o := Options{}
	if c != nil {
		o.Clock = c.now
	}
	return newStore(t, Settings{Secrets: map[string]Source{"p": {Vault: &p}}, Vault: s}, o)
}

func byToken(t *testing.T) func(*VaultSettings) {
	return func(s *VaultSettings) { s.TokenFile = privateFile(t, "root-token\n") }
}

func byRole(t *testing.T) func(*VaultSettings) {
	return func(s *VaultSettings) { s.RoleID, s.SecretIDFile = "role-1", privateFile(t, "sid-1\n") }
}

func TestVaultKV2(t *testing.T) {
	v := newVaultServer(t)
	for _, test := range []struct {
		path VaultPath
		want string
	}{
		{VaultPath{Path: "plant2/erp", Field: "password"}, "hunter2!"},
		{VaultPath{Path: "/plant2/erp/", Field: "port"}, "8443"},
		{VaultPath{Mount: "kv", Path: "erp"}, "other"},
		{VaultPath{Path: "plant2/a b/c"}, "blank"},
	} {
		st := v.store(t, test.path, nil, func(s *VaultSettings) { byToken(t)(s); s.Namespace = "plant2" })
		if got, err := valueOf(t, st); err != nil || got != test.want {
			t.Errorf("%s: %q, %v", test.path, got, err)
		}
	}
	if v.asked[0] != "GET /v1/secret/data/plant2/erp plant2" {
		t.Error(v.asked)
	}
}

func TestVaultSaysWhatIsWrong(t *testing.T) {
	erp := VaultPath{Path: "plant2/erp", Field: "password"}
	for name, test := range map[string]struct {
		path   VaultPath
		server func(*vaultServer)
		change func(*VaultSettings)
		reason proto.Reason
		want   string
	}{
		"sealed":        {erp, func(v *vaultServer) { v.sealed = true }, byToken(t), proto.ReasonVaultSealed, "is sealed"},
		"sealed, role":  {erp, func(v *vaultServer) { v.sealed = true }, byRole(t), proto.ReasonVaultSealed, "is sealed"},
		"forbidden":     {erp, func(v *vaultServer) { v.tokens = nil }, byToken(t), proto.ReasonVaultForbidden, "does not allow"},
		"absent":        {VaultPath{Path: "absent"}, nil, byToken(t), proto.ReasonVaultNotFound, "has nothing there"},
		"deleted":       {VaultPath{Path: "deleted"}, nil, byToken(t), proto.ReasonVaultNotFound, "has been deleted"},
		"no such field": {VaultPath{Path: "plant2/erp"}, nil, byToken(t), proto.ReasonVaultNotFound, `no field "value"`},
		"an object":     {VaultPath{Path: "plant2/erp", Field: "nested"}, nil, byToken(t), proto.ReasonVaultFailed, "neither text nor a number"},
		"role refused":  {erp, func(v *vaultServer) { v.secretID = "" }, byRole(t), proto.ReasonVaultSignIn, "refused the AppRole (status 400)"},
		"no token file": {erp, nil, func(s *VaultSettings) { s.TokenFile = "/nonexistent/token" }, proto.ReasonVaultSignIn, "no such file"},
		"not trusted":   {erp, nil, func(s *VaultSettings) { byToken(t)(s); s.CAFile = "" }, proto.ReasonVaultUnreachable, "can't be reached"},
		"not there":     {erp, nil, func(s *VaultSettings) { byToken(t)(s); s.Address = "https://127.0.0.1:1" }, proto.ReasonVaultUnreachable, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVaultServer(t)
			v.Config.ErrorLog = nil
			if test.server != nil {
				v.change(func() { test.server(v) })
			}
			_, err := valueOf(t, v.store(t, test.path, nil, test.change))
			if e := wantError(t, err, proto.CodeSecretUnavailable, test.reason, "hunter2", "root-token", "sid-1"); !strings.Contains(e.Detail, test.want) {
				t.Errorf("%q", e.Detail)
			}
		})
	}
}

func TestVaultThatIsNotConfigured(t *testing.T) {
	_, err := valueOf(t, newStore(t, only(Source{Vault: &VaultPath{Path: "x"}}), Options{}))
	wantError(t, err, proto.CodeSecretUnavailable, proto.ReasonVaultFailed)
}

func TestAppRoleSignsInOnceForALease(t *testing.T) {
	v, c := newVaultServer(t), &clock{}
	st := v.store(t, VaultPath{Path: "plant2/erp", Field: "password"}, c, byRole(t))
	want := func(logins int) {
		t.Helper()
		if got, err := valueOf(t, st); err != nil || got != "hunter2!" {
			t.Fatalf("%q, %v", got, err)
		}
		if v.logins != logins {
			t.Fatalf("%d sign-ins, want %d", v.logins, logins)
		}
	}
	want(1)
	c.advance(keepFetched)
	want(1)
	v.change(func() { v.tokens = map[string]bool{} }) // revoked before its time
	c.advance(keepFetched)
	want(2)
	c.advance(time.Hour)
	want(3)
}

func TestVaultThatComesBackIsAskedAgain(t *testing.T) {
	v, c := newVaultServer(t), &clock{}
	v.sealed = true
	st := v.store(t, VaultPath{Path: "plant2/erp", Field: "password"}, c, byToken(t))
	if _, err := valueOf(t, st); err == nil {
		t.Fatal("a sealed Vault gave a secret")
	}
	v.change(func() { v.sealed = false })
	c.advance(keepFailure)
	if got, err := valueOf(t, st); err != nil || got != "hunter2!" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestTokenDoesNotLeaveTLS(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s came in plain text, with token %q", r.URL, r.Header.Get("X-Vault-Token"))
	}))
	defer plain.Close()
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusTemporaryRedirect))
	defer secure.Close()
	v := &vaultServer{Server: secure}
	_, err := valueOf(t, v.store(t, VaultPath{Path: "x"}, nil, byToken(t)))
	wantError(t, err, proto.CodeSecretUnavailable, proto.ReasonVaultFailed)
}

func TestFaultyVaultSettings(t *testing.T) {
	for want, s := range map[string]VaultSettings{
		"write it like":  {Address: "vault:8200", TokenFile: "/t"},
		"without TLS":    {Address: "http://vault.example:8200", TokenFile: "/t"},
		"how to sign in": {Address: "https://vault.example:8200"},
		"two ways":       {Address: "https://vault.example:8200", TokenFile: "/t", RoleID: "r"},
		"needs both":     {Address: "https://vault.example:8200", RoleID: "r"},
		"caFile":         {Address: "https://vault.example:8200", TokenFile: "/t", CAFile: "/nonexistent"},
	} {
		if _, err := Prepare(Settings{Vault: s}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", s, err, want)
		}
	}
	newStore(t, Settings{Vault: VaultSettings{Address: "http://127.0.0.1:8200", TokenFile: "/t"}}, Options{})
}
