package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/zap"
)

func TestTheJournalKeepsTheLastOfEachWorkspace(t *testing.T) {
	var j Journal
	if found, next := j.List("a", Wanted{Limit: 5}); len(found) > 0 || next != "" {
		t.Errorf("%v, %q", found, next)
	}
	for i := range 5000 {
		e := Entry{Path: fmt.Sprint("/", i), ConnectionID: fmt.Sprint("con_", i%2), Status: 200, Complete: true}
		if i%100 == 0 {
			e.Status = 500
		}
		j.add("a", e)
	}
	j.add("b", Entry{Path: strings.Repeat("x", 1000)})
	all := func(w Wanted) (paths []string) {
		for pages := 0; pages < 100; pages++ {
			found, next := j.List("a", w)
			for _, e := range found {
				paths = append(paths, e.Path)
			}
			if next == "" {
				return paths
			}
			w.Cursor = next
		}
		t.Fatal("there is no end")
		return nil
	}
	if got := all(Wanted{Limit: 77}); len(got) != journalEntries || got[0] != "/4999" || got[len(got)-1] != "/3000" {
		t.Errorf("%d entries, from %s to %s", len(got), got[0], got[len(got)-1])
	}
	if got := all(Wanted{Limit: 3, Failed: true}); len(got) != 20 || got[0] != "/4900" {
		t.Errorf("failed: %v", got)
	}
	if got := all(Wanted{Limit: 1000, ConnectionID: "con_1"}); len(got) != journalEntries/2 {
		t.Errorf("%d of one connection", len(got))
	}
	if got, _ := j.List("b", Wanted{Limit: 5}); len(got) != 1 || len(got[0].Path) > journalPath+len("…") {
		t.Errorf("%+v", got)
	}
	if got, next := j.List("a", Wanted{Limit: 5, Cursor: "7"}); len(got) > 0 || next != "" { // overwritten meanwhile
		t.Errorf("%v, %q", got, next)
	}
}

func TestWhatPassedIsNotedWithoutItsQuery(t *testing.T) {
	s := newSite(t, zap.NewNop())
	s.mux.HandleFunc("/base/orders/gone", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusGone) })
	s.do(t, "GET", "/orders/gone?token=s3cret", nil)
	s.do(t, "GET", "/%2e%2e/up", nil)
	found, _ := s.gateway.Journal().List(s.c.WorkspaceID, Wanted{Limit: 5})
	if len(found) != 2 {
		t.Fatalf("%+v", found)
	}
	if e := found[1]; e.Status != 410 || e.Method != "GET" || e.Path != "/orders/gone" || !e.Failed() || !e.Complete || e.ConnectionID != s.c.ID || e.Took <= 0 {
		t.Errorf("%+v", e)
	}
	if e := found[0]; e.Status != 0 || e.Code != "validation" {
		t.Errorf("%+v", e)
	}
}
