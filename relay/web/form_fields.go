package web

import (
	"slices"

	"sallyport/relay/connection"
)

// A formField is one field of the connection form. Labels and help are those
// of the document that integrators read; what a value must be is said by
// package connection.
type formField struct {
	path        string // in the API, and the input's name
	label       string
	help        string
	placeholder string
	required    bool
	class       string // of the field: when it applies, how wide it is
	inputClass  string
	inputMode   string
	maxLength   int
	rows        int
	secret      string // what is typed here becomes a secret of this name
	choices     []choice
}

type choice struct{ Value, Label, Help string }

// formFields is the form, in the order of its four steps.
func formFields() []formField {
	return slices.Concat(describingFields(), authFields(), pingFields(), requestFields(), healthFields())
}

func describingFields() []formField {
	return []formField{
		{path: "name", label: "Name", required: true, maxLength: connection.MaxName, placeholder: "Plant 2 ERP",
			help: "Meaningful to your integration, so that you can identify the connection later in a list."},
		{path: "mode", label: "Mode", required: true, choices: []choice{
			{string(connection.Cloud), "Cloud", "Connect to an app on the cloud."},
			{string(connection.OnPremise), "On-premise", "An app that runs locally on your company’s servers. This mode requires an agent."},
		}},
		{path: "agentId", label: "Agent", required: true},

		{path: "auth.type", label: "Authentication type", required: true, class: "half",
			help:    "How the application is signed in to.",
			choices: authChoices()},
		{path: "baseUri", label: "Base URI", required: true, inputClass: "code", inputMode: "url", placeholder: "https://erp.plant2.internal/api",
			help: "The path to the app’s API, as documented in its API guide."},
		{path: "mediaType", label: "Media type", required: true, class: "half",
			help: "The format of your records: what bodies are sent as, and what is asked for.",
			choices: []choice{
				{Value: string(connection.JSON), Label: "JSON"},
				{Value: string(connection.XML), Label: "XML"},
				{Value: string(connection.URLEncoded), Label: "URL encoded"},
				{Value: string(connection.CSV), Label: "CSV"},
				{Value: string(connection.Plain), Label: "Plain text"},
			}},
	}
}

func pingFields() []formField {
	return []formField{
		{path: "ping.method", label: "Ping method", inputClass: "short",
			help:    "The HTTP method to use when making the ping request.",
			choices: []choice{{Value: "GET", Label: "GET"}, {Value: "POST", Label: "POST"}, {Value: "PUT", Label: "PUT"}, {Value: "HEAD", Label: "HEAD"}}},
		{path: "ping.uri", label: "Ping URI", inputClass: "code", placeholder: "/me",
			help: "The relative URI to a specific resource, as documented in the app’s API guide. Empty: Test checks the sign-in alone."},
		{path: "ping.body", label: "Ping body", class: "only-ping-body", rows: 3,
			help: "What the ping request sends. {{secret.NAME}} works here too."},
		{path: "ping.successPath", label: "Ping success path", inputClass: "code", placeholder: "ok",
			help: "Only if the app returns errors outside of the 4xx and 5xx status codes: the JSONPath or XPath of the field that tells success. For Slack’s API, it is ok."},
		{path: "ping.successValues", label: "Ping success values", rows: 2, placeholder: "true",
			help: "One a line. An exact, case-sensitive match of any with the value at the success path is a success. Empty: any value but false, 0, null or nothing."},
	}
}

// formSteps are the sections of the form, and the fields that each begins
// with; a mistake is marked on the step whose field has it.
func formSteps() []formStep {
	auth := []string{"secrets", "auth.session"}
	for _, kind := range authForms() {
		auth = append(auth, "auth."+string(kind.kind))
	}
	return []formStep{
		{Anchor: "step-name", Title: "Name and mode", prefixes: []string{"name", "mode", "agentId"}},
		{Anchor: "step-describe", Title: "Describe", prefixes: []string{"auth.type", "headers", "baseUri", "mediaType"}},
		{Anchor: "step-auth", Title: "Authentication", prefixes: auth},
		{Anchor: "step-test", Title: "Test and save", prefixes: []string{"ping", "requests", "health"}},
	}
}

type formStep struct {
	Anchor, Title string
	HasError      bool
	prefixes      []string
}
