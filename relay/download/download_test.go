package download

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fill makes a downloads directory of files, as `make package` does.
func fill(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "downloads")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var sums strings.Builder
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256([]byte(text)), name)
	}
	if err := os.WriteFile(filepath.Join(dir, sumsName), []byte(sums.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func shelf(t *testing.T, dir, address string) *Shelf {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Dir: dir, PublicURL: u, Log: zaptest.NewLogger(t)})
}

const program = "the agent's program"

func full(t *testing.T) *Shelf {
	return shelf(t, fill(t, map[string]string{
		"sallyport-agent-linux-amd64": program, "sallyport-agent-windows-amd64.exe": "MZ", "sallyport-agent-image-arm64.tar": "tar",
	}), "https://relay.example.com")
}

func get(h http.Handler, method, path string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestFileIsServedWholeInPartAndNotTwice(t *testing.T) {
	s := full(t)
	const path = "/downloads/sallyport-agent-linux-amd64"
	whole := get(s, "GET", path)
	sum := sha256.Sum256([]byte(program))
	h := whole.Header()
	if whole.Code != 200 || whole.Body.String() != program || h.Get("Content-Type") != "application/octet-stream" || h.Get("Cache-Control") != "no-cache" ||
		h.Get("Repr-Digest") != "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":" || h.Get("ETag") != fmt.Sprintf(`"%x"`, sum) {
		t.Errorf("%d %v %s", whole.Code, h, whole.Body)
	}
	if a := get(s, "HEAD", path); a.Code != 200 || a.Body.Len() != 0 || a.Header().Get("Content-Length") != fmt.Sprint(len(program)) {
		t.Errorf("HEAD: %d %v", a.Code, a.Header())
	}
	if a := get(s, "GET", path, "Range: bytes=4-8"); a.Code != 206 || a.Body.String() != "agent" {
		t.Errorf("a part: %d %s", a.Code, a.Body)
	}
	if a := get(s, "GET", path, "If-None-Match: "+h.Get("ETag")); a.Code != 304 || a.Body.Len() != 0 {
		t.Errorf("again: %d %s", a.Code, a.Body)
	}
	if a := get(s, "POST", path); a.Code != 405 {
		t.Errorf("POST: %d", a.Code)
	}
}

func TestOnlyListedFilesAreServed(t *testing.T) {
	dir := fill(t, map[string]string{"sallyport-agent-linux-amd64": program})
	outside := filepath.Join(filepath.Dir(dir), "secret")
	for path, text := range map[string]string{
		outside: "secret", filepath.Join(dir, "unlisted"): "secret", filepath.Join(dir, "sub"): "",
	} {
		if text == "" {
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../secret", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	list, err := os.OpenFile(filepath.Join(dir, sumsName), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	for _, name := range []string{"../secret", "link", "sub", ".hidden", outside, "absent"} {
		fmt.Fprintf(list, "%064d  %s\n", 0, name)
	}
	s := shelf(t, dir, "https://relay.example.com")
	server := httptest.NewServer(s)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, path := range []string{
		"/downloads/unlisted", "/downloads/link", "/downloads/sub", "/downloads/sub/", "/downloads/absent", "/downloads/.hidden",
		"/downloads/../secret", "/downloads/%2e%2e/secret", "/downloads/..%2fsecret", "/downloads/%2e%2e%2fsecret", "/downloads//etc/passwd",
		"/downloads/..%5csecret", "/downloads/sallyport-agent-linux-amd64/", "/downloads/sallyport-agent-linux-amd64%00",
	} {
		resp, err := client.Get(server.URL + path)
		if err != nil {
			continue // not even a path
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	if a := get(s, "GET", "/downloads/"); strings.Contains(a.Body.String(), "secret") || strings.Contains(a.Body.String(), `"link"`) || strings.Contains(a.Body.String(), `"sub"`) {
		t.Errorf("%s", a.Body)
	}
}

func TestListIsForPeopleAndForPrograms(t *testing.T) {
	s := full(t)
	var list struct{ Items []file }
	if err := json.Unmarshal(get(s, "GET", "/downloads/", "Accept: */*").Body.Bytes(), &list); err != nil || len(list.Items) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, f := range list.Items {
		if f.Size == 0 || len(f.SHA256) != 64 {
			t.Errorf("%+v", f)
		}
	}
	page := get(s, "GET", "/downloads/", "Accept: text/html,*/*;q=0.8")
	if !strings.Contains(page.Body.String(), `<a href="sallyport-agent-windows-amd64.exe">`) || !strings.Contains(page.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%v %s", page.Header(), page.Body)
	}
	if a := get(s, "GET", "/downloads"); a.Code/100 != 3 || a.Header().Get("Location") != "/downloads/" {
		t.Errorf("%d %v", a.Code, a.Header())
	}
	if a := get(s, "GET", "/downloads/SHA256SUMS"); strings.Count(a.Body.String(), "\n") != 3 || !strings.HasPrefix(a.Header().Get("Content-Type"), "text/plain") {
		t.Errorf("%v %s", a.Header(), a.Body)
	}
}

func TestDownloadsThatAreNotThereSayWhatToDo(t *testing.T) {
	empty := t.TempDir()
	if err := os.WriteFile(filepath.Join(empty, sumsName), []byte("no sums\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Join(t.TempDir(), "absent"), empty, filepath.Join(empty, sumsName)} {
		s := shelf(t, dir, "https://relay.example.com")
		for _, path := range []string{"/downloads/", "/downloads/SHA256SUMS", "/downloads/sallyport-agent-linux-amd64"} {
			a := get(s, "GET", path)
			if text := a.Body.String(); a.Code != 404 || !strings.Contains(text, "make package") || !strings.Contains(text, "--downloads") || strings.Contains(text, dir) {
				t.Errorf("%s: %d %s", path, a.Code, text)
			}
		}
		if s.Systems() != (Systems{}) {
			t.Errorf("%+v", s.Systems())
		}
		if a := get(s, "GET", "/install.sh"); a.Code != 200 { // it tells what is missing
			t.Errorf("install.sh: %d", a.Code)
		}
	}
}

func TestSystemsAreThoseWithAProgram(t *testing.T) {
	if got := full(t).Systems(); got != (Systems{Linux: true, Windows: true, Docker: true}) {
		t.Errorf("%+v", got)
	}
}

func TestNamedFileIsTakenFromTheNewestRelease(t *testing.T) {
	s := full(t)
	get(s, "GET", "/downloads/sallyport-agent-linux-amd64")
	if err := os.RemoveAll(s.Dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(fill(t, map[string]string{"sallyport-agent-linux-amd64": "newer"}), s.Dir); err != nil {
		t.Fatal(err)
	}
	if a := get(s, "GET", "/downloads/sallyport-agent-linux-amd64"); a.Body.String() != "newer" {
		t.Errorf("%s", a.Body)
	}
}

func TestDirectoryIsFoundInTheDataDirectory(t *testing.T) {
	data := t.TempDir()
	if got := Find(data); got != filepath.Join(data, "downloads") {
		t.Errorf("nothing is there, and %s is named", got)
	}
	if err := os.Rename(fill(t, map[string]string{"a": "b"}), filepath.Join(data, "downloads")); err != nil {
		t.Fatal(err)
	}
	if got := Find(data); got != filepath.Join(data, "downloads") {
		t.Errorf("%s", got)
	}
}

func TestScriptsHaveTheRelaysAddressAsOneWord(t *testing.T) {
	for address, want := range map[string][2]string{
		"https://relay.example.com":      {"relay='https://relay.example.com'\n", "$Relay = 'https://relay.example.com',"},
		"https://relay.example.com:8443": {"relay='https://relay.example.com:8443'\n", "$Relay = 'https://relay.example.com:8443',"},
		"http://a'$(id)'b":               {`relay='http://a'\''$(id)'\''b'` + "\n", "$Relay = 'http://a''$(id)''b',"},
	} {
		s := shelf(t, t.TempDir(), address)
		for i, path := range []string{"/install.sh", "/install.ps1"} {
			a := get(s, "GET", path)
			if !strings.Contains(a.Body.String(), want[i]) || strings.Contains(a.Body.String(), "relay.invalid") || !strings.HasPrefix(a.Header().Get("Content-Type"), "text/") {
				t.Errorf("%s of %s: %v\n%s", path, address, a.Header(), a.Body)
			}
		}
	}
	if got := powerShellQuoted("a’b"); got != "'a’’b'" {
		t.Errorf("%s", got)
	}
}
