package session

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"

	"sallyport/relay/connection"
)

// digest tells settings of a sign-in apart: all of a connection but its name
// and ping. It is made for each request, so it is one pass over one buffer.
// Every part is preceded by its length, so that no two connections read alike.
func digest(c *connection.Connection) string {
	buf := make([]byte, 0, 1024)
	add := func(s string) {
		buf = strconv.AppendInt(buf, int64(len(s)), 10)
		buf = append(buf, ':')
		buf = append(buf, s...)
	}
	add(string(c.Mode))
	add(c.AgentID)
	add(c.BaseURI)
	add(string(c.MediaType))
	for _, h := range c.Headers {
		add(h.Name)
		add(h.Value)
	}
	add("") // no header has an empty name: the end of the list
	if how := c.Auth.Cookie; how != nil {
		add(how.Method)
		add(how.URI)
		add(how.Body)
		add(strconv.Itoa(how.SuccessStatusCode))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Secrets)) {
		add(name)
		add(c.Secrets[name])
	}
	sum := sha256.Sum256(buf)
	return hex.EncodeToString(sum[:16])
}
