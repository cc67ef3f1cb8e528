package doctor

import (
	"archive/zip"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"sallyport/agent/config"
	"sallyport/agent/control"
	"sallyport/agent/egress"
)

// TestABundleHoldsNoSecret plants secrets in every place that a bundle is made
// from, in the forms that people and programs write them, and looks for them in
// every file of it.
func TestABundleHoldsNoSecret(t *testing.T) {
	dir := t.TempDir()
	key := ed25519.NewKeyFromSeed([]byte("0123456789abcdef0123456789abcdef"))
	place, err := config.Reserve(dir, config.IdentityFile)
	if err != nil {
		t.Fatal(err)
	}
	identity := config.Identity{AgentID: "agt_1", InstanceID: "ins_1", AgentName: "Plant 2", Relay: "https://127.0.0.1:1", Seed: key.Seed()}
	if err := place.Write(identity); err != nil {
		t.Fatal(err)
	}
	server, err := control.Serve(dir, control.Agent{Status: func() control.Status {
		return control.Status{State: "offline", Agent: "Plant 2", LastError: "the proxy http://svc:pw-status@proxy.test:3128 refused"}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	seed := base64.StdEncoding.EncodeToString(key.Seed())
	write(t, filepath.Join(dir, "password"), "pw-file\n")
	write(t, filepath.Join(dir, config.FileName), strings.Join([]string{
		"# the old password was pw-comment",
		"proxy: http://svc:pw-yaml@127.0.0.1:1",
		"targetProxy: 'http://svc:pw%2Fslash@127.0.0.1:1'",
		"logLevel: debug",
		"oldKey: pw-unknown",
	}, "\n"))
	write(t, filepath.Join(dir, "agent.log"), strings.Join([]string{
		`{"level":"info","msg":"request","status":200}`,
		`{"msg":"odd","url":"https://erp.test/x?ticket=pw-query","cookie":"SID=pw-cookie","authorization":"Bearer pw-bearer-token"}`,
		`Set-Cookie: SID=pw-setcookie; Path=/`,
		`Proxy-Authorization: Basic cHctYmFzaWM6cHctYmFzaWM=`,
		"token=pw-token password: pw-password sally_pw-sally key " + seed + " " + hex.EncodeToString(key.Seed()),
		"-----BEGIN PRIVATE KEY-----\npw-pem\n-----END PRIVATE KEY-----",
		"the password pw-file, pw-yaml, pw/slash and pw%2Fslash came up; so did CODE1-CODE2",
	}, "\n"))
	env := map[string]string{
		"HTTPS_PROXY": "http://svc:pw-env@127.0.0.1:1", "https_proxy": "http://pw-user-alone@127.0.0.1:1", "SALLYPORT_CODE": "CODE1-CODE2",
		"SALLYPORT_PROXY_PASSWORD_FILE": "/etc/sallyport/password", "NO_PROXY": "10.0.0.0/8",
	}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }

	c := config.Defaults()
	c.DataDir, c.Proxy, c.TargetProxy = dir, "http://svc:pw-yaml@127.0.0.1:1", "http://svc:pw%2Fslash@127.0.0.1:1"
	c.ProxyPasswordFile = filepath.Join(dir, "password")
	way, err := egress.New(egress.Options{Proxy: c.Proxy})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Config: c, ConfigFile: filepath.Join(dir, config.FileName), Egress: way}
	path := filepath.Join(dir, "bundle.zip")
	if err := WriteBundle(t.Context(), path, BundleOptions{Report: Run(t.Context(), o), Examined: o, Env: lookup}); err != nil {
		t.Fatal(err)
	}

	files := unzip(t, path)
	endpoint := struct{ Token string }{}
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, control.File))), &endpoint); err != nil || endpoint.Token == "" {
		t.Fatalf("the control endpoint's token: %v", err)
	}
	secrets := []string{"pw-", "pw/slash", "pw%2Fslash", "cHctYmFzaWM", "CODE1", seed, strings.TrimRight(seed, "="), hex.EncodeToString(key.Seed()), string(key.Seed()), endpoint.Token}
	for name, text := range files {
		for _, secret := range secrets {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("%s holds the secret %q: …%s…", name, secret, text[max(at-60, 0):min(at+60, len(text))])
			}
		}
	}
	for name, holds := range map[string]string{
		"report.txt": "tcp-ipv4", "report.json": `"name": "tcp-ipv4"`, "firewall-request.txt": "FIREWALL REQUEST", "system.txt": runtime.GOARCH,
		"environment.txt": "SALLYPORT_PROXY_PASSWORD_FILE=/etc/sallyport/password\n", "network.txt": "Interfaces", "status.json": `"state": "offline"`,
		"agent.yaml": "logLevel: debug", "logs/agent.log": `"msg":"request","status":200`,
	} {
		if !strings.Contains(files[name], holds) {
			t.Errorf("%s lacks %q:\n%s", name, holds, files[name])
		}
	}
	for _, name := range []string{"report.json", "status.json"} {
		if !json.Valid([]byte(files[name])) {
			t.Errorf("%s is no JSON any more:\n%s", name, files[name])
		}
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestABundleIsNotWrittenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bundle.zip")
	write(t, path, "mine")
	way, err := egress.New(egress.Options{Proxy: egress.ProxyNone})
	if err != nil {
		t.Fatal(err)
	}
	o := BundleOptions{Examined: Options{Config: config.Defaults(), Egress: way}, Env: os.LookupEnv}
	if err := WriteBundle(t.Context(), path, o); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("error %v", err)
	}
	if read(t, path) != "mine" {
		t.Error("it was written over")
	}
}

func TestTheEndOfALogBeginsWithALine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.log")
	write(t, path, "first line\nsecond line\nthird line\n")
	for limit, want := range map[int64]string{1000: "first line\nsecond line\nthird line\n", 30: "second line\nthird line\n", 14: "third line\n", 11: ""} {
		if got, err := tail(path, limit); err != nil || got != want {
			t.Errorf("the last %d bytes: %q, %v; want %q", limit, got, err, want)
		}
	}
}

func unzip(t *testing.T, path string) map[string]string {
	t.Helper()
	archive, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	files := map[string]string{}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		_ = r.Close()
		if err != nil || slices.Contains([]string{"identity.json", "control.json"}, filepath.Base(f.Name)) {
			t.Fatalf("%s: %v", f.Name, err)
		}
		files[f.Name] = string(text)
	}
	return files
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
