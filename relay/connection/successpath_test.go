package connection

import (
	"strings"
	"testing"
)

func TestBareNamesAreJSONPath(t *testing.T) {
	tests := []struct{ in, want string }{
		{"ok", "$.ok"},
		{"data.user.id", "$.data.user.id"},
		{"items[0].state", "$.items[0].state"},
		{"items[*].state", "$.items[*].state"},
		{"items.*.state", "$.items.*.state"},
		{"data..id", "$.data..id"},
		{"data.user-id", "$.data['user-id']"},
		{"@odata", "$['@odata']"},
		{"2fa.ok", "$['2fa'].ok"},
		{"straße.ort", "$.straße.ort"},
		{"['a.b'].c", "$['a.b'].c"},
		{"[0].ok", "$[0].ok"},
		{`a["b]"].c`, `$.a["b]"].c`},
		{"$.ok", "$.ok"},
		{"$", "$"},
		{"$['a b']", "$['a b']"},
	}
	for _, test := range tests {
		got, err := normalizeJSONPath(test.in)
		if err != nil || got != test.want {
			t.Errorf("%s: got %s, %v, want %s", test.in, got, err, test.want)
		}
		if _, err := JSONPath(test.in); err != nil {
			t.Errorf("%s: %v", test.in, err)
		}
	}
}

func TestFaultyPathsAreToldHowToBeWritten(t *testing.T) {
	tests := []struct {
		path  string
		media MediaType
		want  string
	}{
		{"my key", JSON, "['my key']"},
		{"a.", JSON, "a dot with no name"},
		{".a", JSON, "a dot with no name"},
		{"a[0", JSON, "not closed"},
		{"a[0]b", JSON, "a dot or another bracket"},
		{"$.user-id", JSON, "perhaps $['user-id'] is meant"},
		{"$.a[?", JSON, "not valid JSONPath"},
		{"count(x)", JSON, "brackets"},
		{strings.Repeat("a", 501), JSON, "longer than 500"},
		{"$..*..*..*", JSON, "branches too often"},
		{"$[?$[?@==1]]", JSON, "branches too often"},
		{"$[?count($[*])>1]", JSON, "branches too often"},
		{"/a[", XML, "not valid XPath"},
		{"//a//b//c", XML, "searches the whole document"},
		{"//a[count(//b) > 1]", XML, "searches the whole document"},
		{"//a[", JSON, "not valid XPath"},
	}
	for _, test := range tests {
		err := checkSuccessPath(test.path, test.media)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want …%s…", test.path, err, test.want)
		}
	}
}

func TestPathsOfEitherLanguage(t *testing.T) {
	for _, test := range []struct {
		path  string
		media MediaType
	}{
		{"/response/status", XML}, {"//status", XML}, {"response/@code", XML}, {"string(//a)", XML}, {"$.ok", XML},
		{"//ok", JSON}, {"$.items[?@.id==$.current].ok", JSON}, {"ok", CSV}, {"//status[../code='//x//y//z']", XML}, {"$.items[?@.id=='a,b,c,d,e,f'].ok", JSON},
	} {
		if err := checkSuccessPath(test.path, test.media); err != nil {
			t.Errorf("%s for %s: %v", test.path, test.media, err)
		}
	}
	if _, err := XPath("$.ok"); err == nil || !strings.Contains(err.Error(), "XPath") {
		t.Errorf("JSONPath as XPath: %v", err)
	}
}

func FuzzSuccessPath(f *testing.F) {
	for _, seed := range []string{"ok", "a[0].b", "$..a", "['x'].y", "//a[b]", "count(//a)", "a[?@.b==1]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		for _, m := range MediaTypes() {
			_ = checkSuccessPath(path, m) // must neither panic nor hang
		}
	})
}
