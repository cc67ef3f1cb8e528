package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEditSetsKeysAndKeepsTheRest(t *testing.T) {
	values := map[string]string{"proxy": "http://svc:a%23b@proxy.test:3128", "caFile": "/etc/sallyport-agent/ca #2.pem", "allowPlaintextRelay": "true"}
	text, err := Edit(Example, values)
	if err != nil {
		t.Fatal(err)
	}
	got := Defaults()
	if err := got.parse(text); err != nil {
		t.Fatal(err)
	}
	want := Defaults()
	want.Proxy, want.CAFile, want.AllowPlaintextRelay = values["proxy"], values["caFile"], true
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if a, b := strings.Count(Example, "\n"), strings.Count(text, "\n"); a != b {
		t.Errorf("%d lines became %d: a key does not stand where the example shows it", a, b)
	}
	again, err := Edit(text, values)
	if err != nil || again != text {
		t.Errorf("a second edit changed something: %v\n%s", err, cmp.Diff(text, again))
	}

	own := "# ours\nproxy: none # for now\nlogLevel: debug\n"
	if got, err := Edit(own, map[string]string{"proxy": "system", "proxyUser": "svc"}); err != nil || got != "# ours\nproxy: system\nlogLevel: debug\nproxyUser: svc\n" {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestEditRefusesWhatCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		values map[string]string
		want   string
	}{
		"a file with a mistake": {"logLevle: debug\n", map[string]string{"proxy": "none"}, `did you mean "logLevel"`},
		"a value with lines":    {"", map[string]string{"proxyUser": "a\nb\n"}, "more than one line"},
		"not true or false":     {"", map[string]string{"allowPlaintextRelay": "perhaps"}, "true or false"},
	} {
		if _, err := Edit(c.text, c.values); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
