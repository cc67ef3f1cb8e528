package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func names(connections []Connection) (out []string) {
	for _, c := range connections {
		out = append(out, c.Name)
	}
	return out
}

func TestPagesAreStableWhileRowsComeAndGo(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		rows := map[string]Connection{}
		for _, name := range []string{"b", "d", "d", "f", "h"} {
			rows[name] = addConnection(t, w, name, "")
		}
		first, next, err := w.Connections(t.Context(), Page{Limit: 2})
		must(t, err)
		addConnection(t, w, "a", "") // before the cursor: must not shift the next page
		addConnection(t, w, "e", "") // after it: shows up
		must(t, w.DeleteConnection(t.Context(), rows["b"].ID, 0))
		second, next, err := w.Connections(t.Context(), Page{Limit: 3, Cursor: next})
		must(t, err)
		third, end, err := w.Connections(t.Context(), Page{Limit: 3, Cursor: next})
		must(t, err)
		got := [][]string{names(first), names(second), names(third)}
		if diff := cmp.Diff([][]string{{"b", "d"}, {"d", "e", "f"}, {"h"}}, got); diff != "" {
			t.Error(diff)
		}
		if end != "" {
			t.Error("the last page has a next one")
		}
	})
}

func TestSearchIsByPartOfTheNameInAnyCase(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		for _, name := range []string{"Plant 2 ERP", "ÖSTERREICH", "100% sure", "100 sure", "under_score", "underXscore", "wow!"} {
			addConnection(t, w, name, "")
		}
		cases := map[string][]string{
			"erp":        {"Plant 2 ERP"},
			"PLANT 2":    {"Plant 2 ERP"},
			"österreich": {"ÖSTERREICH"},
			"0%":         {"100% sure"},
			"r_s":        {"under_score"},
			"w!":         {"wow!"},
			"' OR 1=1":   nil,
			"":           {"100 sure", "100% sure", "Plant 2 ERP", "under_score", "underXscore", "wow!", "ÖSTERREICH"},
		}
		for q, want := range cases {
			got, _, err := w.Connections(t.Context(), Page{Query: q})
			must(t, err)
			if diff := cmp.Diff(want, names(got)); diff != "" {
				t.Errorf("%q: %s", q, diff)
			}
		}
	})
}

func TestACursorOfElsewhereIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		for _, cursor := range []string{"x", "!!", cursorOf("one"), cursorOf("a", "b", "c")} {
			if _, _, err := home(s).Agents(t.Context(), Page{Cursor: cursor}); !errors.Is(err, ErrCursor) {
				t.Errorf("%q: got %v", cursor, err)
			}
		}
	})
}

func TestPageLimits(t *testing.T) {
	for limit, want := range map[int]int{-1: DefaultLimit, 0: DefaultLimit, 7: 7, 10_000: MaxLimit} {
		if got := (Page{Limit: limit}).limit(); got != want {
			t.Errorf("limit %d: got %d, want %d", limit, got, want)
		}
	}
}

func TestListsOfFiveThousandAreFast(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		const rows = 5000
		agent := addAgent(t, home(s), "site")
		must(t, home(s).Atomically(t.Context(), func(w *Workspace) error {
			for i := range rows {
				if err := w.CreateConnection(t.Context(), newConnection(fmt.Sprintf("connection %04d", i), agent.ID)); err != nil {
					return err
				}
			}
			return nil
		}))
		w := home(s)
		seen, cursor := 0, ""
		start := time.Now()
		pages := 0
		for {
			page, next, err := w.Connections(t.Context(), Page{Limit: 100, Cursor: cursor})
			must(t, err)
			seen += len(page)
			pages++
			if cursor = next; cursor == "" {
				break
			}
		}
		// Far above what it takes, far below what a scan of all for each page would.
		if perPage := time.Since(start) / time.Duration(pages); perPage > 250*time.Millisecond {
			t.Errorf("%v a page", perPage)
		}
		if seen != rows {
			t.Errorf("saw %d rows, want %d", seen, rows)
		}
		start = time.Now()
		found, _, err := w.Connections(t.Context(), Page{Query: "TION 4999"})
		must(t, err)
		if took := time.Since(start); len(found) != 1 || took > time.Second {
			t.Errorf("search found %d in %v", len(found), took)
		}
		counts, err := w.CountConnections(t.Context(), []string{agent.ID})
		must(t, err)
		if counts[agent.ID] != rows {
			t.Errorf("counted %d", counts[agent.ID])
		}
		if s.engine == engineSQLite {
			usesIndex(t, s, "connections_list")
		}
	})
}

func usesIndex(t *testing.T, s *Store, index string) {
	t.Helper()
	query, args, err := byName(`SELECT id FROM connections WHERE workspace_id = $1`, "w", Page{Cursor: cursorOf("a", "b")})
	must(t, err)
	plan, err := all(context.Background(), s.read, "explain", func(row scanner) (detail string, err error) {
		var a, b, c any
		return detail, row.Scan(&a, &b, &c, &detail)
	}, `EXPLAIN QUERY PLAN `+query, args...)
	must(t, err)
	text := strings.Join(plan, "\n")
	if !strings.Contains(text, index) || strings.Contains(text, "TEMP B-TREE") {
		t.Errorf("the list does not follow its index:\n%s", text)
	}
}

func TestTheAuditTrailIsNewestFirst(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		for i := range 5 {
			must(t, w.AddAudit(t.Context(), Entry{ID: NewID("aud"), At: noon, Action: fmt.Sprint(i), Detail: "d"}))
		}
		var got []string
		for cursor := ""; ; {
			entries, next, err := w.Audit(t.Context(), AuditFilter{}, Page{Limit: 2, Cursor: cursor})
			must(t, err)
			for _, e := range entries {
				got = append(got, e.Action)
			}
			if cursor = next; cursor == "" {
				break
			}
		}
		if diff := cmp.Diff([]string{"4", "3", "2", "1", "0"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestIDsSortByTheirMaking(t *testing.T) {
	last := ""
	for range 2000 {
		id := NewID("con")
		if id <= last || !strings.HasPrefix(id, "con_") || len(id) != 30 {
			t.Fatalf("%q after %q", id, last)
		}
		last = id
	}
}
