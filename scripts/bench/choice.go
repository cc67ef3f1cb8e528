package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// choice is what is to be measured.
type choice struct {
	rows []*row
	ways []string // their names
}

// wayKeys are what --ways calls the ways.
var wayKeys = map[string]string{"direct": direct, "ssh": sshReverse, "sallyport": sallyport, "tls": sallyportTLS, "proxies": goProxies}

// choose picks rows by a regular expression, which their ids and names are
// matched with, and ways by a list of their keys. Empty: all of them, but for
// proxies.
func choose(rowsLike, ways string) (choice, error) {
	var c choice
	like, err := regexp.Compile(rowsLike)
	if err != nil {
		return c, fmt.Errorf("--rows: %w", err)
	}
	var ids []string
	for _, r := range rows() {
		ids = append(ids, r.id)
		if like.MatchString(r.id) || like.MatchString(r.name) {
			c.rows = append(c.rows, r)
		}
	}
	if len(c.rows) == 0 {
		return c, fmt.Errorf("--rows: %q is like none of %s", rowsLike, strings.Join(ids, ", "))
	}
	if ways == "" {
		c.ways = []string{direct, sshReverse, sallyport, sallyportTLS}
		return c, nil
	}
	for key := range strings.SplitSeq(ways, ",") {
		name, known := wayKeys[strings.TrimSpace(key)]
		if !known {
			return c, fmt.Errorf("--ways: %q is none of direct, ssh, sallyport, tls, proxies", key)
		}
		if !slices.Contains(c.ways, name) {
			c.ways = append(c.ways, name)
		}
	}
	return c, nil
}

// needs reports whether any row is measured over the long path, or the short one.
func (c choice) needs(far bool) bool {
	return slices.ContainsFunc(c.rows, func(r *row) bool { return r.far == far })
}
