package store

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/text/cases"
)

// Page asks for a part of a list.
type Page struct {
	Limit  int    // 0: DefaultLimit; at most MaxLimit
	Cursor string // as the part before gave it; empty for the first
	Query  string // only those whose name contains it, in whatever case
}

// Bounds of Page.Limit.
const (
	DefaultLimit = 50
	MaxLimit     = 500
)

func (p Page) limit() int {
	if p.Limit <= 0 {
		return DefaultLimit
	}
	return min(p.Limit, MaxLimit)
}

// fold makes names comparable whatever their case, in every script and on both
// engines alike: SQLite's own lower() knows ASCII only.
func fold(name string) string { return cases.Fold().String(strings.TrimSpace(name)) }

// cursorOf encodes the sort key of the last item of a page. The next page
// begins after that key, so rows that come or go meanwhile move nothing.
func cursorOf(key ...string) string {
	text, err := json.Marshal(key)
	if err != nil {
		panic(err) // strings always marshal
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func parseCursor(cursor string, parts int) ([]string, error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return nil, fmt.Errorf("%w: %q", ErrCursor, cursor)
	}
	var key []string
	if err := json.Unmarshal(text, &key); err != nil || len(key) != parts {
		return nil, fmt.Errorf("%w: %q", ErrCursor, cursor)
	}
	return key, nil
}

// byName completes a query whose WHERE has workspace_id = $1 so that it gives
// one page in the order of names. One row more than asked for is read, to
// learn whether there is a next page.
func byName(query, workspaceID string, p Page) (string, []any, error) {
	args := []any{workspaceID}
	if p.Query != "" {
		args = append(args, "%"+escapeLike(fold(p.Query))+"%")
		query += ` AND name_key LIKE $` + strconv.Itoa(len(args)) + ` ESCAPE '!'`
	}
	if p.Cursor != "" {
		key, err := parseCursor(p.Cursor, 2)
		if err != nil {
			return "", nil, err
		}
		args = append(args, key[0], key[1])
		query += fmt.Sprintf(` AND (name_key, id) > ($%d, $%d)`, len(args)-1, len(args))
	}
	args = append(args, p.limit()+1)
	return query + ` ORDER BY name_key, id LIMIT $` + strconv.Itoa(len(args)), args, nil
}

// newestFirst is byName for lists in the order of time: ids sort by it.
func newestFirst(query, workspaceID string, p Page, more ...any) (string, []any, error) {
	args := append([]any{workspaceID}, more...)
	if p.Cursor != "" {
		key, err := parseCursor(p.Cursor, 1)
		if err != nil {
			return "", nil, err
		}
		args = append(args, key[0])
		query += ` AND id < $` + strconv.Itoa(len(args))
	}
	args = append(args, p.limit()+1)
	return query + ` ORDER BY id DESC LIMIT $` + strconv.Itoa(len(args)), args, nil
}

// cut takes the one row too many off a page and makes the cursor of the next.
func cut[T any](items []T, p Page, key func(T) []string) ([]T, string) {
	if len(items) <= p.limit() {
		return items, ""
	}
	items = items[:p.limit()]
	return items, cursorOf(key(items[len(items)-1])...)
}

var likeEscaper = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

func escapeLike(text string) string { return likeEscaper.Replace(text) }
