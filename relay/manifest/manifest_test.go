package manifest

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"sallyport/relay/api"
	"sallyport/relay/client"
)

// schema is that of this very relay.
func schema(t *testing.T) *Schema {
	t.Helper()
	public, _ := url.Parse("https://relay.example.com")
	server := httptest.NewServer(api.New(api.Options{PublicURL: public, Version: "1"}))
	defer server.Close()
	s, err := FetchSchema(t.Context(), &client.Client{Base: server.URL, HTTP: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatIsWrittenIsReadBackToTheByte(t *testing.T) {
	s := schema(t)
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ \t\n\r:#&*!|>'"%@{}\[\],?~0-9a-z\x{85}\x{a0}\x{2028}😀-]{0,12}`), rapid.SampledFrom([]string{"", "null", "~", "yes", "0x1F", "1_000", "2026-01-01", "<<", "=", "a: b", "- x", "\n", " \n", "a\n", "\n\na", "a\n\n\n", "\ta\n\tb", "---", "...", "a\n---\nb", "\ufeffx", "\x7f"}))
	rapid.Check(t, func(t *rapid.T) {
		var values []any
		for _, v := range rapid.SliceOfN(text, 0, 3).Draw(t, "values") {
			values = append(values, strings.ToValidUTF8(v, "?"))
		}
		want := map[string]any{
			"name": strings.ToValidUTF8(text.Draw(t, "name"), "?"), "mode": "cloud", "baseUri": "https://erp",
			"auth": map[string]any{"type": "cookie", "cookie": map[string]any{"method": "POST", "uri": "/", "body": strings.ToValidUTF8(text.Draw(t, "body"), "?"), "successStatusCode": 200.0}},
			"ping": map[string]any{"successValues": append([]any{}, values...)},
		}
		raw, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var c onFile
		if err := exact(raw, &c); err != nil {
			t.Fatal(err)
		}
		doc, err := s.export(raw, c, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		asYAML, err := yamlDocuments([]*yaml.Node{doc, doc})
		if err != nil {
			t.Fatal(err)
		}
		asJSON, err := jsonList([]*yaml.Node{doc, doc})
		if err != nil {
			t.Fatal(err)
		}
		for name, written := range map[string][]byte{"a.yaml": asYAML, "a.json": asJSON} {
			docs, faults := s.parse(name, written)
			if len(faults) > 0 || len(docs) != 2 {
				t.Fatalf("%d documents, %v\n%s", len(docs), faults, written)
			}
			got, _ := json.Marshal(docs[1].fields)
			var back map[string]any
			_ = json.Unmarshal(got, &back)
			if diff := cmp.Diff(want, back); diff != "" {
				t.Fatalf("%s\n%s", diff, written)
			}
		}
	})
}

func TestDocumentsAreReadAsTheirSchemaMeansThem(t *testing.T) {
	s := schema(t)
	for _, c := range []struct{ name, text, want string }{
		{"text that looks like something else", "ping: {successValues: [true, 12.50, 0x10, 2026-01-01, no, 1e3, '7']}", `{"ping":{"successValues":["true","12.50","0x10","2026-01-01","no","1e3","7"]}}`},
		{"numbers stay numbers", "auth: {cookie: {successStatusCode: 200}}", `{"auth":{"cookie":{"successStatusCode":200}}}`},
		{"numbers of other forms", "auth: {cookie: {successStatusCode: 0xC8}}", `{"auth":{"cookie":{"successStatusCode":200}}}`},
		{"anchors and merges", "headers: [&h {name: A, value: b}, {<<: *h, name: C}]", `{"headers":[{"name":"A","value":"b"},{"name":"C","value":"b"}]}`},
		{"what a read of the API has besides", `{"id":"con_1","name":"x","version":7,"createdAt":"2026-01-01T00:00:00Z","lastTest":{"ok":true},"warnings":["w"],"latencyMs":[1]}`, `{"id":"con_1","name":"x"}`},
		{"tabs and escapes of JSON", "{\t\"name\":\t\"\\ud83d\\ude00\\/\"}", `{"name":"😀/"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			docs, faults := s.parse("a.yaml", []byte(c.text))
			if len(faults) > 0 || len(docs) != 1 {
				t.Fatalf("%d documents, %v", len(docs), faults)
			}
			var got bytes.Buffer
			e := json.NewEncoder(&got)
			e.SetEscapeHTML(false)
			if err := e.Encode(docs[0].fields); err != nil || strings.TrimSpace(got.String()) != c.want {
				t.Errorf("%v, got %s want %s", err, &got, c.want)
			}
		})
	}
}

func TestFaultsOfFilesNameTheLine(t *testing.T) {
	s := schema(t)
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for i := range 9 {
		bomb += string(rune('b'+i)) + ": &" + string(rune('b'+i)) + " [" + strings.Repeat("*"+string(rune('a'+i))+", ", 8) + "]\n"
	}
	for _, c := range []struct{ name, file, text, want string }{
		{"misspelt within a list", "a.yaml", "headers:\n- name: a\n  vlaue: b", "a.yaml:3: headers[0].vlaue: There is no such field. Did you mean value?"},
		{"nothing near", "a.yaml", "auth:\n  frobnicate: 1", "a.yaml:2: auth.frobnicate: There is no such field."},
		{"twice", "a.yaml", "name: a\nmode: b\nname: c", "a.yaml:3: name: It stands in line 1 already."},
		{"no mapping", "a.yaml", "just text", "a.yaml:1: A document is a connection"},
		{"a list with something else in it", "a.yaml", "- name: a\n- b", "a.yaml:2: A document is a connection"},
		{"agent twice", "a.yaml", "agent: a\nagentId: b", "a.yaml:1: agent: There is an agentId as well"},
		{"cut off", "a.json", "{\n\"name\":\n", "a.json:2: not JSON: unexpected EOF."},
		{"tag of somebody's", "a.yaml", "name: !!binary aGk=", "a.yaml:1: name: A value of the kind !!binary can't stand here."},
		{"secret of a strange form", "a.yaml", "secrets:\n  a: [1]", "a.yaml:2: secrets.a: Write ${env:NAME}"},
		{"secrets that are none", "a.yaml", "secrets: x", "a.yaml:1: secrets: Must be an object"},
		{"aliases of aliases", "a.yaml", bomb, "a.yaml: document contains excessive aliasing"},
		{"anchor within itself", "a.yaml", "name: &a [*a]", "a.yaml:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, faults := s.parse(c.file, []byte(c.text)); !strings.Contains(faults.Error(), c.want) {
				t.Errorf("got %s", faults)
			}
		})
	}
}

func TestDirectoriesAreReadWithAllBelow(t *testing.T) {
	s, dir := schema(t), t.TempDir()
	for path, text := range map[string]string{
		"a.yaml": "name: a\n---\n# nothing\n---\nname: b", "deep/er/c.yml": "name: c", "d.JSON": `[{"name":"d"},{"name":"e"}]`,
		".git/x.yaml": "broken: [", "notes.txt": "broken: [", ".hidden.yaml": "broken: [", "empty.yaml": "",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	docs, err := s.ReadFiles([]string{dir, "-"}, strings.NewReader("name: f"))
	if err != nil {
		t.Fatal(err)
	}
	var names string
	for _, d := range docs {
		names += d.Name()
	}
	if names != "abdecf" {
		t.Errorf("read %s", names)
	}
	if _, err := s.ReadFiles([]string{t.TempDir()}, nil); err == nil {
		t.Error("a directory without files is read as no connections: a prune would delete all")
	}
}

func TestDifferencesShowWhatChanges(t *testing.T) {
	long := strings.Repeat("x", 200)
	for _, c := range []struct{ name, old, new, want string }{
		{"nothing", `{"a":1,"b":[1,{"c":"d"}]}`, `{"b":[1,{"c":"d"}],"a":1}`, ""},
		{"a value", `{"a":{"b":"x"}}`, `{"a":{"b":"y"}}`, `- a.b: "x"|+ a.b: "y"`},
		{"one comes, one goes", `{"a":1}`, `{"b":true}`, `- a: 1|+ b: true`},
		{"first of a list", `{"l":["b","c"]}`, `{"l":["a","b","c"]}`, `+ l[0]: "a"`},
		{"out of the middle", `{"l":["a","b","c"]}`, `{"l":["a","c"]}`, `- l[1]: "b"`},
		{"another kind", `{"a":{"b":1}}`, `{"a":"x"}`, `- a: {"b":1}|+ a: "x"`},
		{"the end of a long text", `{"a":"` + long + `1"}`, `{"a":"` + long + `2"}`, `- a: …` + strings.Repeat("x", 40) + `1"|+ a: …` + strings.Repeat("x", 40) + `2"`},
		{"a credential that comes", `{}`, `{"auth":{"type":"token","token":{"name":"X-Key","token":"t0p"}}}`, `+ auth.token.name: "X-Key"|+ auth.token.token: (set)|+ auth.type: "token"`},
		{"a credential that changes", `{"auth":{"basic":{"username":"a","password":"t0p"}}}`, `{"auth":{"basic":{"username":"b","password":"t1p"}}}`, `+ auth.basic.password: (changed)|- auth.basic.username: "a"|+ auth.basic.username: "b"`},
		{"a credential that stays", `{"auth":{"digest":{"password":"t0p"}}}`, `{"auth":{"digest":{"password":"t0p"}}}`, ``},
		{"a credential that becomes a placeholder", `{"auth":{"oauth2":{"clientSecret":"t0p"}}}`, `{"auth":{"oauth2":{"clientSecret":"{{secret.client}}"}}}`, `- auth.oauth2.clientSecret: (set)|+ auth.oauth2.clientSecret: "{{secret.client}}"`},
		{"headers, by their names", `{"headers":[{"name":"X-API-Key","value":"t0p"},{"name":"Accept","value":"a"}]}`, `{"headers":[{"name":"X-API-Key","value":"t1p"},{"name":"Accept","value":"b"},{"name":"Cookie","value":"t2p"}]}`,
			`+ headers[0].value: (changed)|- headers[1].value: "a"|+ headers[1].value: "b"|+ headers[2].name: "Cookie"|+ headers[2].value: (set)`},
		{"a sign-in's body", `{"auth":{"cookie":{"body":"p=t0p","headers":[{"name":"authorization","value":"t0p"}]}}}`, `{"auth":{"cookie":{"body":"p=t1p"}}}`, `+ auth.cookie.body: (changed)|- auth.cookie.headers[0].name: "authorization"|- auth.cookie.headers[0].value: (set)`},
		{"no escapes for HTML", `{"a":"<"}`, `{"a":"&"}`, `- a: "<"|+ a: "&"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var old, new map[string]any
			if err := exact([]byte(c.old), &old); err != nil {
				t.Fatal(err)
			}
			if err := exact([]byte(c.new), &new); err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, d := range differences("", hideTyped(old), hideTyped(new)) {
				lines = append(lines, d.Lines()...)
			}
			if got := strings.Join(lines, "|"); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
