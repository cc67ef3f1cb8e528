package connection

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestHealthIsCheckedFieldByField(t *testing.T) {
	for name, c := range map[string]struct {
		health Health
		path   string
		words  string
	}{
		"too often":               {Health{EveryMinutes: -1}, "health.everyMinutes", "1 to 1440"},
		"too seldom":              {Health{EveryMinutes: 1441}, "health.everyMinutes", "1441"},
		"no URI":                  {Health{Webhook: "hooks.example.com"}, "health.webhook", "whole URI"},
		"another scheme":          {Health{Webhook: "ftp://hooks.example.com"}, "health.webhook", "whole URI"},
		"user info":               {Health{Webhook: "https://a:b@hooks.example.com"}, "health.webhook", "user name"},
		"a secret as host":        {Health{Webhook: "https://{{secret.hook}}.example.com"}, "health.webhook", "host"},
		"an unset secret":         {Health{Webhook: "https://hooks.example.com/{{secret.none}}"}, "health.webhook", "none is not set"},
		"the agent's secret":      {Health{Webhook: "https://hooks.example.com/{{agent.secret.x}}"}, "health.webhook", "stays with the agent"},
		"an unset signing secret": {Health{Webhook: "https://hooks.example.com", WebhookSecret: "none"}, "health.webhookSecret", "none is not set"},
		"no address":              {Health{Emails: []string{"ada@example.com", "Bob <bob@example.com>"}}, "health.emails[1]", "name@example.com"},
		"an address twice":        {Health{Emails: []string{"ada@example.com", "ADA@example.com"}}, "health.emails[1]", "twice"},
		"a line break":            {Health{Emails: []string{"ada@example.com\nBcc: x@y.z"}}, "health.emails[0]", "not an e-mail address"},
		"all well":                {Health{EveryMinutes: 1, Webhook: "https://hooks.example.com/{{secret.hook}}?a=b", WebhookSecret: "hook", Emails: []string{"ada@example.com"}}, "", ""},
	} {
		spec := Defaults(Spec{Name: "x", Mode: OnPremise, AgentID: "a", BaseURI: "https://example.com", Auth: Auth{Type: AuthNone}, Health: &c.health})
		invalid := Validate(spec, []string{"hook"})
		switch {
		case c.path == "" && invalid != nil:
			t.Errorf("%s: %v", name, invalid)
		case c.path != "" && (invalid == nil || invalid.Fields[0].Path != c.path || !strings.Contains(invalid.Fields[0].Message, c.words)):
			t.Errorf("%s: %v", name, invalid)
		}
	}
}

func TestHealthIsOnByDefault(t *testing.T) {
	for name, c := range map[string]struct {
		given, kept *Health
		every       time.Duration
	}{
		"nothing":          {nil, nil, 5 * time.Minute},
		"the default":      {&Health{EveryMinutes: 5, Emails: []string{}}, nil, 5 * time.Minute},
		"off":              {&Health{Off: true}, &Health{Off: true, EveryMinutes: 5}, 0},
		"seldom":           {&Health{EveryMinutes: 60}, &Health{EveryMinutes: 60}, time.Hour},
		"blanks":           {&Health{Webhook: " https://a.example ", Emails: []string{" a@b.c "}}, &Health{EveryMinutes: 5, Webhook: "https://a.example", Emails: []string{"a@b.c"}}, 5 * time.Minute},
		"no hook, no sign": {&Health{WebhookSecret: "x", EveryMinutes: 1}, &Health{EveryMinutes: 1}, time.Minute},
	} {
		got := Defaults(Spec{Health: c.given})
		if !reflect.DeepEqual(got.Health, c.kept) || got.HealthEvery() != c.every {
			t.Errorf("%s: kept %+v, every %s", name, got.Health, got.HealthEvery())
		}
	}
}
