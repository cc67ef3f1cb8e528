package service

import (
	"encoding/xml"
	"io"
	"slices"
	"strings"
	"testing"
)

// directives are the lines of a unit, by section and key.
func directives(t *testing.T, unit string) map[string][]string {
	t.Helper()
	found, section := map[string][]string{}, ""
	for line := range strings.Lines(unit) {
		line = strings.TrimSuffix(line, "\n")
		switch key, value, ok := strings.Cut(line, "="); {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]") + "."
		case !ok:
			t.Errorf("a line that is none: %q", line)
		default:
			found[section+key] = append(found[section+key], value)
		}
	}
	return found
}

func TestUnitIsWhatWasPromised(t *testing.T) {
	d := directives(t, Unit(on(t, "linux", "plant3"), "/usr/local/bin/sallyport-agent"))
	for key, want := range map[string]string{
		"Unit.Description":               "Sallyport agent (plant3)",
		"Unit.Wants":                     "network-online.target",
		"Unit.StartLimitIntervalSec":     "0",
		"Service.Type":                   "notify",
		"Service.Restart":                "on-failure",
		"Service.User":                   "sallyport-agent-plant3",
		"Service.ProtectSystem":          "strict",
		"Service.NoNewPrivileges":        "yes",
		"Service.StateDirectory":         "sallyport-agent-plant3",
		"Service.StateDirectoryMode":     "0700",
		"Service.ConfigurationDirectory": "sallyport-agent-plant3",
		"Service.CapabilityBoundingSet":  "",
		"Service.ExecStart":              "/usr/local/bin/sallyport-agent run --config /etc/sallyport-agent-plant3/agent.yaml --data /var/lib/sallyport-agent-plant3",
		"Install.WantedBy":               "multi-user.target",
	} {
		if !slices.Equal(d[key], []string{want}) {
			t.Errorf("%s=%q, want %q", key, d[key], want)
		}
	}
}

func TestUnitQuotesWhatSystemdWouldRead(t *testing.T) {
	d := directives(t, Unit(on(t, "linux", ""), `/opt/100% "of" $HOME\bin/sallyport-agent`))
	want := `"/opt/100%% \"of\" $$HOME\\bin/sallyport-agent" run --config `
	if got := d["Service.ExecStart"][0]; !strings.HasPrefix(got, want) {
		t.Errorf("got %s\nwant %s…", got, want)
	}
}

func TestPlistIsWhatWasPromised(t *testing.T) {
	l := on(t, "darwin", "")
	text := Plist(l, "/usr/local/bin/a&b")
	var values []string
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		switch token := token.(type) {
		case xml.CharData:
			if s := strings.TrimSpace(string(token)); s != "" {
				values = append(values, s)
			}
		case xml.StartElement:
			if name := token.Name.Local; name == "true" || name == "false" {
				values = append(values, name)
			}
		}
	}
	got := strings.Join(values, "|")
	for _, want := range []string{
		"Label|sallyport-agent|ProgramArguments|/usr/local/bin/a&b|run|--config|/Library/Application Support/Sallyport/agent/agent.yaml|--data|/Library/Application Support/Sallyport/agent/data|",
		"UserName|_sallyport-agent|", "RunAtLoad|true|", "KeepAlive|SuccessfulExit|false|", "ExitTimeOut|25|",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}
