package secret

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"sallyport/proto"
)

// VaultSettings say how to reach HashiCorp Vault, or what speaks its HTTP API,
// and how to sign in: by TokenFile, or by RoleID and SecretIDFile (AppRole).
type VaultSettings struct {
	Address      string // https://vault.example:8200; http only on this machine
	Namespace    string
	CAFile       string // PEM, besides the system's authorities
	TokenFile    string // read at each use, so that whoever renews the token can replace it
	RoleID       string
	SecretIDFile string
	AppRoleMount string // "": approle
}

// VaultPath is one value in a key-value engine of version 2.
type VaultPath struct {
	Mount string // "": secret
	Path  string
	Field string // "": value
}

func (p VaultPath) String() string {
	return cmp.Or(p.Mount, "secret") + "/" + p.Path + ", field " + cmp.Or(p.Field, "value")
}

// vault is a client of Vault's HTTP API, as far as is needed here: it signs in
// and reads.
type vault struct {
	VaultSettings
	base *url.URL
	http *http.Client

	signingIn sync.Mutex // held by whoever signs in; guards the following
	token     string     // of AppRole; "": none
	until     time.Time  // when to sign in anew
}

// maxVaultAnswer is the longest answer that is read, in bytes.
const maxVaultAnswer = 1 << 20

// newVault makes a client; nil where Vault is not configured.
func newVault(s VaultSettings) (*vault, error) {
	if s == (VaultSettings{}) {
		return nil, nil
	}
	base, err := url.Parse(s.Address)
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" || base.User != nil || base.RawQuery != "" {
		return nil, errors.New("vault: address: write it like https://vault.example.internal:8200")
	}
	if base.Scheme == "http" && !loopback(base.Hostname()) {
		return nil, errors.New("vault: address: without TLS everybody on the way can read the secrets: write https://")
	}
	switch {
	case s.TokenFile == "" && s.RoleID == "" && s.SecretIDFile == "":
		return nil, errors.New("vault: how to sign in? Set tokenFile, or roleId and secretIdFile")
	case s.TokenFile != "" && (s.RoleID != "" || s.SecretIDFile != ""):
		return nil, errors.New("vault: two ways to sign in: set tokenFile, or roleId and secretIdFile")
	case s.TokenFile == "" && (s.RoleID == "" || s.SecretIDFile == ""):
		return nil, errors.New("vault: AppRole needs both roleId and secretIdFile")
	}
	roots, err := vaultAuthorities(s.CAFile)
	if err != nil {
		return nil, err
	}
	base.Path = strings.TrimRight(base.Path, "/")
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 5 * time.Second, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
	}
	return &vault{VaultSettings: s, base: base,
		http: &http.Client{Transport: transport, CheckRedirect: followStandby, Timeout: defaultTimeout}}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func vaultAuthorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("vault: caFile: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil { // a machine without any: then these alone
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("vault: caFile: %s holds no certificate in PEM form", file)
	}
	return pool, nil
}

// followStandby follows the one redirect by which a standby names the active
// server. The token goes with it, so never to a place without TLS.
func followStandby(req *http.Request, via []*http.Request) error {
	if len(via) > 1 || via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return http.ErrUseLastResponse
	}
	return nil
}

func (v *vault) close() {
	if v != nil {
		v.http.CloseIdleConnections()
	}
}

// secret reads one value.
func (v *vault) secret(ctx context.Context, name string, p VaultPath, now func() time.Time) (string, *proto.Error) {
	if v == nil {
		return "", unavailable(name, proto.ReasonVaultFailed, nil,
			fmt.Sprintf("The secret %q comes from Vault, and agent.yaml does not say where that is.", name),
			"The site's admin adds vault: with address and tokenFile, or roleId and secretIdFile, to agent.yaml.")
	}
	a := asking{vault: v, name: name, path: p, now: now}
	token, err := a.signedIn(ctx, "")
	if err != nil {
		return "", err
	}
	answer, err := a.read(ctx, token)
	if err == nil && answer.status == http.StatusForbidden && v.TokenFile == "" {
		// The token may have been revoked before its time.
		if token, err = a.signedIn(ctx, token); err == nil {
			answer, err = a.read(ctx, token)
		}
	}
	if err != nil {
		return "", err
	}
	return a.field(answer)
}

// asking is one secret being asked for.
type asking struct {
	*vault
	name string
	path VaultPath
	now  func() time.Time
}

// vaultAnswer is an answer of Vault's.
type vaultAnswer struct {
	status int
	body   []byte
}

func (a *asking) read(ctx context.Context, token string) (vaultAnswer, *proto.Error) {
	path := "/v1/" + strings.Trim(cmp.Or(a.path.Mount, "secret"), "/") + "/data/" + strings.Trim(a.path.Path, "/")
	return a.call(ctx, http.MethodGet, path, token, nil)
}

// call sends one request.
func (a *asking) call(ctx context.Context, method, path, token string, body any) (vaultAnswer, *proto.Error) {
	ctx, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	u := *a.base
	u.Path += path
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return vaultAnswer{}, a.unreachable(err)
		}
		sent = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), sent)
	if err != nil {
		return vaultAnswer{}, a.unreachable(err)
	}
	req.Header.Set("X-Vault-Request", "true")
	if token != "" {
		req.Header.Set("X-Vault-Token", token)
	}
	if a.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", a.Namespace)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return vaultAnswer{}, a.unreachable(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxVaultAnswer))
	if err != nil {
		return vaultAnswer{}, a.unreachable(err)
	}
	return vaultAnswer{resp.StatusCode, text}, nil
}

// field takes the value out of an answer, or says what the answer means.
func (a *asking) field(answer vaultAnswer) (string, *proto.Error) {
	if answer.status != http.StatusOK {
		return "", a.refused(answer)
	}
	var content struct {
		Data struct {
			Data map[string]json.RawMessage `json:"data"`
		} `json:"data"`
	}
	if err := json.Unmarshal(answer.body, &content); err != nil || content.Data.Data == nil {
		return "", a.failed("answered with something that is no secret of a key-value engine of version 2")
	}
	raw, ok := content.Data.Data[cmp.Or(a.path.Field, "value")]
	if !ok {
		return "", a.notFound(fmt.Sprintf("the secret in Vault has no field %q", cmp.Or(a.path.Field, "value")), "Correct field: in agent.yaml, or add the field in Vault.")
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	var number json.Number
	if json.Unmarshal(raw, &number) == nil {
		return number.String(), nil
	}
	return "", a.failed(fmt.Sprintf("has a field %q that is neither text nor a number", cmp.Or(a.path.Field, "value")))
}
