package web_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestEveryPageIsStrict(t *testing.T) {
	r := newRig(t)
	c := r.client()
	conn, agentID, _ := furnish(r)
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script[^>]*>[^<]|javascript:`)
	for _, path := range []string{"/connections", "/connections/new", "/connections/" + conn.ID, "/connections/" + conn.ID + "/edit", "/connections/" + conn.ID + "/delete",
		"/agents", "/agents/new", "/agents/" + agentID, "/agents/" + agentID + "/install", "/agents/" + agentID + "/remove", "/settings", "/settings/people", "/activity", "/activity/requests", "/nowhere"} {
		a := c.get(path)
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(a.header.Get("Content-Security-Policy"), part) {
				t.Errorf("%s: the policy lacks %s", path, part)
			}
		}
		if a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be kept: %s", path, a.header.Get("Cache-Control"))
		}
		if found := inline.FindString(a.body); found != "" {
			t.Errorf("%s has inline code: %s", path, found)
		}
		for _, label := range regexp.MustCompile(`<label for="([^"]+)"`).FindAllStringSubmatch(a.body, -1) {
			if !strings.Contains(a.body, ` id="`+label[1]+`"`) {
				t.Errorf("%s: a label is for %s, which is not there", path, label[1])
			}
		}
		if h1 := strings.Count(a.body, "<h1"); h1 != 1 {
			t.Errorf("%s has %d main headings", path, h1)
		}
	}
	if a := c.get("/nowhere"); a.status != http.StatusNotFound || !strings.Contains(a.body, "Go to the connections") {
		t.Errorf("a page that is not there: %d", a.status)
	}
}

func TestAssetsAreKeptForEverUnderTheirFingerprint(t *testing.T) {
	r := newRig(t)
	c := r.client()
	page := c.get("/connections")
	for _, path := range regexp.MustCompile(`/assets/[0-9a-f]+/[a-z]+\.(js|css|svg)`).FindAllString(page.body, -1) {
		a := c.get(path)
		if a.status != http.StatusOK || !strings.Contains(a.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d, %s", path, a.status, a.header.Get("Cache-Control"))
		}
		for _, module := range regexp.MustCompile(`from "\./([a-z]+\.js)"`).FindAllStringSubmatch(a.body, -1) {
			if b := c.get(path[:strings.LastIndex(path, "/")+1] + module[1]); b.status != http.StatusOK {
				t.Errorf("%s imports %s, which is not there", path, module[1])
			}
		}
	}
	if a := c.get("/assets/0123456789abcdef/style.css"); a.status != http.StatusNotFound {
		t.Errorf("another release's style sheet: %d", a.status)
	}
}
