package manifest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"sallyport/relay/client"
)

// onFile is a connection as a relay has it.
type onFile map[string]any

func (c onFile) text(name string) string {
	s, _ := c[name].(string)
	return s
}

func (c onFile) id() string { return c.text("id") }

func (c onFile) version() int64 {
	n, _ := c["version"].(json.Number)
	v, _ := n.Int64()
	return v
}

// title is what messages call a connection.
func (c onFile) title() string {
	if key := c.text("key"); key != "" {
		return fmt.Sprintf("%s (%s, %s)", c.text("name"), key, c.id())
	}
	return fmt.Sprintf("%s (%s)", c.text("name"), c.id())
}

// described is what a user describes of a connection: without what the relay
// adds, and without the secrets.
func (s *Schema) described(c map[string]any) map[string]any {
	out := map[string]any{}
	for name, value := range c {
		if name != "secrets" && !s.readOnly(name) {
			out[name] = value
		}
	}
	return out
}

// readAll reads every page of a list as raw JSON, in which fields keep their
// order and numbers their digits.
func readAll(ctx context.Context, c *client.Client, path string) ([]json.RawMessage, error) {
	var all []json.RawMessage
	for cursor := ""; ; {
		var page struct {
			Items      []json.RawMessage `json:"items"`
			NextCursor string            `json:"nextCursor"`
		}
		query := "?limit=200"
		if cursor != "" {
			query += "&cursor=" + url.QueryEscape(cursor)
		}
		if err := c.Do(ctx, "GET", path+query, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if cursor = page.NextCursor; cursor == "" {
			return all, nil
		}
	}
}

// exact decodes JSON with its numbers as they are.
func exact(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(into)
}

func readConnections(ctx context.Context, c *client.Client) ([]onFile, error) {
	raw, err := readAll(ctx, c, "/api/v1/connections")
	if err != nil {
		return nil, err
	}
	all := make([]onFile, len(raw))
	for i, text := range raw {
		if err := exact(text, &all[i]); err != nil {
			return nil, fmt.Errorf("read the connections: %w", err)
		}
	}
	return all, nil
}

// agents are a relay's agents, by name and id.
type agents []client.Agent

func readAgents(ctx context.Context, c *client.Client) (agents, error) {
	var all agents
	for a, err := range c.Agents(ctx, client.ListOptions{}) {
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// named is the id of the one agent of that name; problem says why there is none.
func (all agents) named(name string) (id, problem string) {
	var ids, known []string
	for _, a := range all {
		known = append(known, a.Name)
		if a.Name == name {
			ids = append(ids, a.ID)
		}
	}
	switch len(ids) {
	case 1:
		return ids[0], ""
	case 0:
		return "", fmt.Sprintf("The relay has no agent named “%s”. Make it first: sallyport-relay agent create.%s", name, suggest(name, known))
	}
	return "", fmt.Sprintf("Several agents are named “%s”: %s. Write agentId with one of these instead.", name, strings.Join(ids, ", "))
}

// nameOf is an agent's name, if it is the only one with it.
func (all agents) nameOf(id string) (string, bool) {
	name := ""
	for _, a := range all {
		if a.ID == id {
			name = a.Name
		}
	}
	if name == "" {
		return "", false
	}
	_, problem := all.named(name)
	return name, problem == ""
}
