package connection

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Success is a proposal for a ping: where to look in its answer, and which
// values to expect there. No values: whatever is there, unless it says no.
type Success struct {
	Path   string   `json:"path"`
	Values []string `json:"values,omitempty"`
}

// Names of values that say yes, and of those that only who is signed in sees.
var (
	saysYes  = []string{"ok", "success", "succeeded", "authenticated", "isauthenticated", "loggedin", "isloggedin", "signedin", "valid", "active", "status", "result", "state"}
	yes      = []string{"true", "ok", "success", "succeeded", "up", "active", "valid", "authenticated", "running", "healthy", "green"}
	identity = []string{"username", "user_name", "login", "email", "userid", "user_id", "user", "uid", "id", "name"}
)

// maxProposals is how many ways to tell success are proposed at most.
const maxProposals = 3

// ProposeSuccess finds what tells success in a good answer: flags first, then
// what only who is signed in sees. Numbers in the document are json.Number.
func ProposeSuccess(document any) []Success {
	var found []Success
	values := scalars(document, nil, 3)
	add := func(s Success) {
		if len(found) < maxProposals && !slices.ContainsFunc(found, func(other Success) bool { return other.Path == s.Path }) {
			found = append(found, s)
		}
	}
	for _, name := range saysYes {
		for _, v := range values {
			if strings.EqualFold(v.name, name) && slices.Contains(yes, strings.ToLower(v.text)) {
				add(Success{v.place.String(), []string{v.text}})
			}
		}
	}
	for _, name := range identity {
		for _, v := range values {
			if strings.EqualFold(v.name, name) && !slices.Contains([]string{"", "0", "false", "null"}, v.text) {
				add(Success{Path: v.place.String()})
			}
		}
	}
	return found
}

// scalar is a plain value of a JSON document.
type scalar struct {
	name, text string
	place      JSONPlace
}

// scalars are the plain values of a document's objects, the nearest to its top
// first.
func scalars(v any, at JSONPlace, depth int) []scalar {
	object, ok := v.(map[string]any)
	if !ok || depth == 0 {
		return nil
	}
	var here, below []scalar
	for _, name := range slices.Sorted(maps.Keys(object)) {
		place := at.Member(name)
		switch value := object[name].(type) {
		case string:
			here = append(here, scalar{name, value, place})
		case json.Number:
			here = append(here, scalar{name, value.String(), place})
		case bool:
			here = append(here, scalar{name, strconv.FormatBool(value), place})
		default:
			below = append(below, scalars(value, place, depth-1)...)
		}
	}
	return append(here, below...)
}
