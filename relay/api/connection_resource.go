package api

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/registry"
)

// Connection is a connection as callers read and write it. What the relay adds
// is read-only: it may be sent back with a PUT and is passed over, but for
// version, see updateConnection.
type Connection struct {
	ID string `json:"id,omitempty" readOnly:"true" doc:"Given by the relay." example:"con_0198a2b477aa7cde"`
	connection.Spec
	Secrets   map[string]Secret `json:"secrets,omitempty" doc:"Values for {{secret.NAME}} placeholders, by name. Write-only."`
	Version   int64             `json:"version,omitempty" readOnly:"true" doc:"Counts the changes; also the ETag. Sent back with a PUT that has no If-Match, it stands for one."`
	CreatedAt *time.Time        `json:"createdAt,omitempty" readOnly:"true"`
	UpdatedAt *time.Time        `json:"updatedAt,omitempty" readOnly:"true"`
	LastTest  *LastTest         `json:"lastTest,omitempty" readOnly:"true" doc:"How the last test of the saved connection ended."`
	LatencyMs []float64         `json:"latencyMs,omitempty" readOnly:"true" doc:"Durations of recent pings that succeeded, or where there were none of tests, oldest first."`
	Status    *ConnectionStatus `json:"status,omitempty" readOnly:"true" doc:"How it does, as its scheduled pings find it. More under /connections/{id}/health."`
	Warnings  []string          `json:"warnings,omitempty" readOnly:"true" doc:"What is allowed but worth a look, such as a name that is already taken."`
	// ChangedSecrets is of dry runs only: what was saved has changed.
	ChangedSecrets []string `json:"changedSecrets,omitempty" readOnly:"true" doc:"With dryRun: the secrets that the save would set, change or remove."`
}

// LastTest is how the last test of a connection ended.
type LastTest struct {
	OK         bool      `json:"ok"`
	At         time.Time `json:"at"`
	FailedStep string    `json:"failedStep,omitempty" enum:"agent,sign-in,ping"`
	Message    string    `json:"message,omitempty"`
}

// ConnectionStatus is how a connection does.
type ConnectionStatus struct {
	State     string     `json:"state" enum:"online,failing,offline,unknown" doc:"offline: its agent is away or paused. unknown: it was not pinged yet, is not to be, or has no ping URI."`
	Since     *time.Time `json:"since,omitempty"`
	CheckedAt *time.Time `json:"checkedAt,omitempty" doc:"When it was last pinged."`
	Message   string     `json:"message,omitempty" doc:"What the last ping found."`
}

// Secret is one secret of a connection. Writing, it is the value as a string;
// null removes it; {"set": true}, as reads show it, keeps it.
type Secret struct {
	Value  string
	Remove bool
	Keep   bool
}

// MarshalJSON shows that there is a value, and nothing of it.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`{"set":true}`), nil }

// UnmarshalJSON reads the three forms. Its error names no value.
func (s *Secret) UnmarshalJSON(text []byte) error {
	switch {
	case string(text) == "null":
		s.Remove = true
		return nil
	case len(text) > 0 && text[0] == '"':
		return json.Unmarshal(text, &s.Value)
	}
	s.Keep = true // the schema has seen that it is {"set": true}
	return nil
}

// Schema describes the three forms.
func (Secret) Schema(huma.Registry) *huma.Schema {
	set := &huma.Schema{Type: huma.TypeObject, AdditionalProperties: false, Required: []string{"set"},
		Properties: map[string]*huma.Schema{"set": {Type: huma.TypeBoolean, Enum: []any{true}}}}
	value := &huma.Schema{Type: huma.TypeString, Nullable: true, Description: "The value, never read back; or null to remove it."}
	s := &huma.Schema{OneOf: []*huma.Schema{value, set},
		Description: `A string sets the value, null removes it, {"set": true} keeps it. Reads give {"set": true}.`,
		Examples:    []any{map[string]any{"set": true}}}
	for _, schema := range []*huma.Schema{set.Properties["set"], set, value, s} {
		schema.PrecomputeMessages()
	}
	return s
}

// changes is the secrets as the registry takes them: absent keeps, nil removes.
func changes(secrets map[string]Secret) map[string]*string {
	out := map[string]*string{}
	for name, s := range secrets {
		switch {
		case s.Remove:
			out[name] = nil
		case !s.Keep:
			out[name] = &s.Value
		}
	}
	return out
}

func connectionResource(c registry.Connection) Connection {
	out := Connection{ID: c.ID, Spec: c.Spec, Version: c.Version, CreatedAt: &c.CreatedAt, UpdatedAt: &c.UpdatedAt, LatencyMs: c.LatencyMs}
	out.Status = &ConnectionStatus{State: c.Status.State, Since: ifSet(c.Status.Since), CheckedAt: ifSet(c.Status.CheckedAt), Message: c.Status.Message}
	if len(c.SecretNames) > 0 {
		out.Secrets = map[string]Secret{}
		for _, name := range c.SecretNames {
			out.Secrets[name] = Secret{Keep: true}
		}
	}
	if t := c.LastTest; t != nil {
		out.LastTest = &LastTest{OK: t.OK, At: t.At, FailedStep: t.FailedStep, Message: t.Message}
	}
	return out
}

// etag is the version as an entity tag (RFC 9110, section 8.8.3).
func etag(version int64) string { return fmt.Sprintf(`"%d"`, version) }

// ifMatch is the version that If-Match demands; 0 where any will do.
func ifMatch(field string) (int64, error) {
	field = strings.TrimSpace(field)
	if field == "" || field == "*" {
		return 0, nil
	}
	text, quoted := strings.CutPrefix(strings.TrimPrefix(field, "W/"), `"`)
	text, closed := strings.CutSuffix(text, `"`)
	version, err := strconv.ParseInt(text, 10, 64)
	if err != nil || version < 1 || quoted != closed {
		p := newProblem(412, proto.CodeConflict, "If-Match "+strconv.Quote(field)+" is no ETag of this connection.")
		p.Hint = `Send the ETag of the last read, such as "3".`
		return 0, p
	}
	return version, nil
}
