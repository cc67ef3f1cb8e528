package web

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/relay/probe"
)

func TestAMissingTemplateFailsAtStart(t *testing.T) {
	h := &handler{assets: &assets{files: map[string]asset{"main.js": {}, "style.css": {}, "icon.svg": {}}}}
	if _, err := loadViews(templateFiles, h.functions()); err != nil {
		t.Fatal(err)
	}
	without := fstest.MapFS{}
	must(t, fs.WalkDir(templateFiles, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasSuffix(name, "/agents.html") {
			content, err := fs.ReadFile(templateFiles, name)
			without[name] = &fstest.MapFile{Data: content}
			return err
		}
		return err
	}))
	if _, err := loadViews(without, h.functions()); err == nil || !strings.Contains(err.Error(), "agents") {
		t.Errorf("started without agents.html: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPickableValuesKnowTheirPath(t *testing.T) {
	for _, test := range []struct {
		body string
		want map[string]string
	}{
		{`{"ok":false,"error":"invalid_auth"}`, map[string]string{"ok": "false", "error": `"invalid_auth"`}},
		{`{"data":{"user":{"id":12.50}},"items":[{"state":null}]}`, map[string]string{"data.user.id": "12.50", "items[0].state": "null"}},
		{`[{"a":1}]`, map[string]string{"$[0].a": "1"}},
		{`{"a.b":{"c d":1,"it's":2,"q\"":3}}`, map[string]string{"$['a.b']['c d']": "1", `$['a.b']['it\'s']`: "2", `$['a.b']['q"']`: "3"}},
		{`true`, map[string]string{"$": "true"}},
		{`{"a":"<b>"}`, map[string]string{"a": `"<b>"`}},
		{`<html>`, nil},
		{`{"a":1} tail`, nil},
		{`{"a":`, nil},
		{strings.Repeat("[", 1000) + strings.Repeat("]", 1000), nil},
	} {
		var got map[string]string
		for _, p := range pickable(test.body) {
			if p.Path != "" {
				if got == nil {
					got = map[string]string{}
				}
				got[p.Path] = p.Value
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%.60s: %s", test.body, diff)
		}
	}
}

func TestAWaterfallAddsUp(t *testing.T) {
	bars := waterfallOf(100, probe.Timing{TunnelMs: 34, DNSMs: 6, ConnectMs: 10, WaitMs: 30})
	sum := 0.0
	for _, b := range bars {
		sum += b.Ms
		if b.X < 0 || b.X+b.Width > 1000.001 {
			t.Errorf("%s sticks out: %+v", b.Label, b)
		}
	}
	if sum != 100 || bars[0].Ms != 20 {
		t.Errorf("the stages take %v ms, the relay %v", sum, bars[0].Ms)
	}
	if waterfallOf(0, probe.Timing{}) != nil {
		t.Error("a waterfall of nothing")
	}
}

func TestRelativeTimes(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for ago, want := range map[time.Duration]string{
		0: "just now", 59 * time.Second: "just now", 3 * time.Minute: "3 min ago", 90 * time.Minute: "1 h ago", 26 * time.Hour: "1 day ago",
		72 * time.Hour: "3 days ago", -5 * time.Second: "in a moment", -59 * time.Minute: "in 59 min",
	} {
		if got := relative(now.Add(-ago), now); got != want {
			t.Errorf("%v ago is %q, want %q", ago, got, want)
		}
	}
}

func TestSparklines(t *testing.T) {
	if sparklineOf(nil) != nil {
		t.Error("a sparkline of nothing")
	}
	if s := sparklineOf([]float64{5}); s.Points == "" || s.Last != 5 {
		t.Errorf("one point: %+v", s)
	}
	if s := sparklineOf([]float64{0, 50, 100}); s.Points != "4.0,22.0 48.0,13.0 92.0,4.0" {
		t.Errorf("three points: %s", s.Points)
	}
}
