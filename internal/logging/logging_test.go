package logging

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

func TestJSONLinesAreOneObjectEach(t *testing.T) {
	var out bytes.Buffer
	log, _, err := New(Options{Format: "json", Level: "info", Output: &out})
	if err != nil {
		t.Fatal(err)
	}
	log.Info("request served", RequestID("req_1"), zap.Duration("duration", 1500*time.Microsecond))
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%q: %v", out.String(), err)
	}
	for key, want := range map[string]any{"level": "info", "msg": "request served", "request_id": "req_1", "duration": 1.5} {
		if line[key] != want {
			t.Errorf("%s = %v, want %v", key, line[key], want)
		}
	}
	at, err := time.Parse(time.RFC3339, line["time"].(string))
	if err != nil || at.Location() != time.UTC {
		t.Errorf("time %v is not RFC 3339 in UTC: %v", line["time"], err)
	}
}

func TestConsoleIsForPeople(t *testing.T) {
	var out bytes.Buffer
	log, _, err := New(Options{Format: "console", Output: &out})
	if err != nil {
		t.Fatal(err)
	}
	log.Warn("tunnel lost")
	if got := out.String(); !strings.Contains(got, "WARN  tunnel lost") {
		t.Errorf("line %q", got)
	}
}

func TestLevelMayChangeWhileInUse(t *testing.T) {
	var out bytes.Buffer
	log, level, err := New(Options{Level: "error", Output: &out})
	if err != nil {
		t.Fatal(err)
	}
	log.Info("unseen")
	level.SetLevel(zap.DebugLevel)
	log.Debug("seen")
	if got := out.String(); strings.Contains(got, "unseen") || !strings.Contains(got, `"seen"`) {
		t.Errorf("lines %q", got)
	}
}

func TestWrongOptionsNameTheChoices(t *testing.T) {
	for _, c := range []struct{ options, want string }{
		{"format", "choose json or console"},
		{"level", "choose debug, info, warn or error"},
	} {
		o := Options{Output: &bytes.Buffer{}}
		if c.options == "format" {
			o.Format = "xml"
		} else {
			o.Level = "loud"
		}
		if _, _, err := New(o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.options, err, c.want)
		}
	}
}
