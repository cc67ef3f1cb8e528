package client

import (
	"context"
	"encoding/json"

	"sallyport/relay/connection"
)

// Recording is what a browser recorded of a login, in one of two forms.
type Recording struct {
	Curl string          `json:"curl,omitempty"` // a request that was copied as cURL
	HAR  json.RawMessage `json:"har,omitempty"`  // the content of a HAR file
}

// Imported is the draft that was made of a recording.
type Imported struct {
	Connection DraftConnection `json:"connection"`
	Missing    []string        `json:"missing"` // secrets whose value the recording does not have
	Notes      []ImportNote    `json:"notes"`
}

// DraftConnection is a connection that is not saved, with its secrets as they
// were recorded.
type DraftConnection struct {
	connection.Spec
	Secrets map[string]string `json:"secrets,omitempty"`
}

// ImportNote is something that was understood, left out, or is to be looked at.
type ImportNote struct {
	Kind string `json:"kind"` // understood, left-out or check
	Text string `json:"text"`
}

// ImportConnection makes a draft of a recorded login. Nothing is saved or sent.
func (c *Client) ImportConnection(ctx context.Context, in Recording) (Imported, error) {
	var out Imported
	err := c.Do(ctx, "POST", call("connections", "import"), in, &out)
	return out, err
}
