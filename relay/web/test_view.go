package web

import (
	"net/url"
	"strings"

	"sallyport/relay/probe"
)

// testContext is where a result is shown, which decides what its buttons do.
type testContext struct {
	inForm   bool   // a Fix changes the form around it
	editPath string // a Fix leads to this form
}

// testView is a finished test as its template draws it.
type testView struct {
	OK         bool
	DurationMs float64
	SessionID  string
	Warnings   []string
	Ended      *endedView // how the application says that a session has ended; nil: as is known
	Steps      []stepView
}

// endedView is what to change, so that the relay knows.
type endedView struct {
	probe.EndedHint
	Href string // of the form where it is changed; empty: in the form around it
}

func newTestView(result probe.Result, in testContext) *testView {
	v := &testView{OK: result.OK, DurationMs: result.DurationMs}
	if in.inForm {
		v.Warnings = result.Warnings // a saved connection's page shows them anyway
	}
	if result.Ended != nil {
		v.Ended = &endedView{EndedHint: *result.Ended}
		if in.editPath != "" {
			v.Ended.Href = in.editPath + "?" + url.Values{"set": {v.Ended.Field}, "to": {v.Ended.Value}}.Encode()
		}
	}
	if result.Session != nil {
		v.SessionID = result.Session.ID
	}
	for _, s := range result.Steps {
		v.Steps = append(v.Steps, newStepView(s, in))
	}
	return v
}

// stepView is one step: a line, and what it opens to.
type stepView struct {
	probe.Step
	Waterfall []bar
	Body      []piece // the response's body, where its values can be picked
	Pickable  bool
	InForm    bool
	FixHref   string
}

func newStepView(s probe.Step, in testContext) stepView {
	v := stepView{Step: s, InForm: in.inForm}
	if s.Timing != nil {
		v.Waterfall = waterfallOf(s.DurationMs, *s.Timing)
	}
	if in.inForm && s.Name == probe.StepPing && s.Response != nil && !s.Response.Truncated {
		v.Body = pickable(s.Response.Body)
		v.Pickable = v.Body != nil
	}
	if s.Fix != nil && in.editPath != "" {
		v.FixHref = in.editPath + "?" + url.Values{"set": {s.Fix.Field}, "to": {s.Fix.Value}}.Encode()
	}
	return v
}

// Picks are the proposals as the form's buttons.
func (v stepView) Picks() []pick {
	var picks []pick
	if !v.InForm {
		return nil
	}
	for _, p := range v.Proposals {
		label := p.Path + " is there"
		if len(p.Values) > 0 {
			label = p.Path + " is " + p.Values[0]
		}
		picks = append(picks, pick{Label: label, Do: pickAction(p.Path, strings.Join(p.Values, "\n"))})
	}
	return picks
}

// pick is a button that makes a path and values those of the ping.
type pick struct{ Label, Do string }

// Title is the step in words.
func (v stepView) Title() string {
	switch v.Name {
	case probe.StepAgent:
		return "Agent"
	case probe.StepSignIn:
		return "Sign-in"
	case probe.StepPing:
		return "Ping"
	}
	return v.Name
}

// Word is the status in words: colour and shape are not for everyone.
func (v stepView) Word() string {
	switch v.Status {
	case probe.OK:
		return "passed"
	case probe.Running:
		return "running"
	}
	return string(v.Status)
}

// Icon is the status as a shape.
func (v stepView) Icon() string { return string(v.Status) }

// Failed, Finished and Opens are asked by the template.
func (v stepView) Failed() bool   { return v.Status == probe.Failed }
func (v stepView) Finished() bool { return v.Status == probe.OK || v.Status == probe.Failed }
func (v stepView) Opens() bool {
	return v.Request != nil || v.Response != nil || len(v.Hops) > 0 || len(v.Waterfall) > 0 || v.Before != nil
}

// bar is one stage of a waterfall, in thousandths of its width.
type bar struct {
	Label, Class string
	Ms           float64
	X, Width     float64
}

// waterfallOf lays out where the time of one exchange went. What is left of
// the whole is the relay's own.
func waterfallOf(totalMs float64, t probe.Timing) []bar {
	stages := []bar{
		{Label: "Relay", Class: "relay"},
		{Label: "Tunnel", Class: "tunnel", Ms: t.TunnelMs},
		{Label: "Name look-up", Class: "dns", Ms: t.DNSMs},
		{Label: "Connect", Class: "connect", Ms: t.ConnectMs},
		{Label: "TLS", Class: "tls", Ms: t.TLSMs},
		{Label: "Waiting for the application", Class: "wait", Ms: t.WaitMs},
	}
	spent := t.TunnelMs + t.DNSMs + t.ConnectMs + t.TLSMs + t.WaitMs
	stages[0].Ms = max(totalMs-spent, 0)
	whole := stages[0].Ms + spent
	if whole <= 0 {
		return nil
	}
	x := 0.0
	for i := range stages {
		stages[i].X = x
		stages[i].Width = stages[i].Ms / whole * 1000
		x += stages[i].Width
		if stages[i].Ms > 0 {
			stages[i].Width = max(stages[i].Width, 3) // a sliver is still seen
			stages[i].X = min(stages[i].X, 1000-stages[i].Width)
		}
	}
	return stages
}

// outcomeText says how far a failed request got.
func outcomeText(outcome string) string {
	switch strings.TrimSpace(outcome) {
	case "not_sent":
		return "The request did not reach the application; sending it again is safe."
	case "sent":
		return "The application received the request."
	case "unknown":
		return "The application may or may not have acted on the request. Look there before sending it again."
	}
	return ""
}
