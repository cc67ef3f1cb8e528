package manifest

import (
	"context"
	"net/http"
	"strconv"

	"sallyport/relay/client"
)

// Body is a document as the API takes it, its secrets and its agent filled in;
// fresh where the connection is still to be made.
func (s *Schema) Body(ctx context.Context, c *client.Client, d *Document, values Values, fresh bool) (map[string]any, error) {
	all, err := readAgents(ctx, c)
	if err != nil {
		return nil, err
	}
	body, faults := s.body(d, all, values, fresh)
	return body, faults.orNil()
}

// Save makes a connection of a document where id is "", or replaces the one with
// that id, whatever key and name the document has. version is the one that is
// replaced; 0 is any. It returns the connection as the relay answers it.
func (s *Schema) Save(ctx context.Context, c *client.Client, d *Document, values Values, id string, version int64) ([]byte, error) {
	body, err := s.Body(ctx, c, d, values, id == "")
	if err != nil {
		return nil, err
	}
	method, path, header := "POST", "/api/v1/connections", http.Header{}
	if id != "" {
		method, path = "PUT", path+"/"+id
		if version != 0 {
			header.Set("If-Match", strconv.Quote(strconv.FormatInt(version, 10)))
		}
	}
	text, err := c.DoRaw(ctx, method, path, header, body)
	if told := d.told(err); told != nil {
		return nil, told
	}
	return text, err
}

// YAML writes a JSON text as YAML, its fields in their order.
func YAML(text []byte) ([]byte, error) {
	read, err := jsonNodes(text)
	if err != nil {
		return nil, err
	}
	for _, n := range read {
		readable(n)
	}
	return yamlDocuments(read)
}
