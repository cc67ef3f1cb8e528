package web

import (
	"strconv"
	"strings"

	"sallyport/relay/connection"
)

// healthFields are the part of "Requests, limits and health" that says how the
// connection is watched, and who is told.
func healthFields() []formField {
	return []formField{
		{path: "health.off", label: "Ping by itself", inputClass: "short", choices: []choice{{Value: "", Label: "Yes"}, {Value: "off", Label: "No"}},
			help: "Whether the saved connection is pinged on a schedule, with the session that it has."},
		{path: "health.everyMinutes", label: "Every so many minutes", inputClass: "short", inputMode: "numeric", placeholder: strconv.Itoa(connection.DefaultHealthMinutes),
			help: "1 to 1440. Two failed pings in a row make the connection failing."},
		{path: "health.webhook", label: "Webhook", inputClass: "code", inputMode: "url", placeholder: "https://hooks.example.com/sallyport",
			help: "Where a change of state is posted as JSON. {{secret.NAME}} works here too."},
		{path: "health.webhookSecret", label: "Signed with the secret", inputClass: "code", placeholder: "webhook",
			help: "The name of one of the secrets above. Empty: the posts are not signed."},
		{path: "health.emails", label: "E-mail to", rows: 2, placeholder: "ops@example.com",
			help: "One address a line. They are told of a change of state, too, if the relay has a mail server."},
	}
}

// HealthField is called by the template.
func (v formView) HealthField(name string) (fieldView, error) { return v.Field("health." + name) }

// fillHealth shows what is set.
func (v *formValues) fillHealth(h *connection.Health) {
	if h == nil {
		return
	}
	if h.Off {
		v.fields["health.off"] = "off"
	}
	if h.EveryMinutes != connection.DefaultHealthMinutes {
		v.fields["health.everyMinutes"] = strconv.Itoa(h.EveryMinutes)
	}
	v.fields["health.webhook"], v.fields["health.webhookSecret"] = h.Webhook, h.WebhookSecret
	v.fields["health.emails"] = strings.Join(h.Emails, "\n")
}

// health reads the fields; a mistake is a number that is none.
func (v formValues) health() (*connection.Health, []connection.FieldError) {
	var mistakes []connection.FieldError
	h := &connection.Health{Off: v.fields["health.off"] == "off", Webhook: v.fields["health.webhook"], WebhookSecret: v.fields["health.webhookSecret"]}
	if text := strings.TrimSpace(v.fields["health.everyMinutes"]); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n == 0 {
			mistakes = append(mistakes, connection.FieldError{Path: "health.everyMinutes", Message: "Enter a number of minutes from 1 to 1440, or leave it empty for 5."})
		}
		h.EveryMinutes = n
	}
	for _, line := range strings.Split(v.fields["health.emails"], "\n") {
		if line = strings.TrimSpace(line); line != "" {
			h.Emails = append(h.Emails, line)
		}
	}
	return h, mistakes
}
