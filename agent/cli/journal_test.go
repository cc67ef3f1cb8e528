package cli

import (
	"strings"
	"testing"
)

func TestEntriesOfTheJournalAreLinesOfTheLog(t *testing.T) {
	for entry, want := range map[string]string{
		`{"MESSAGE":"{\"level\":\"warn\",\"msg\":\"the agent was paused\"}","PRIORITY":"6","_TRANSPORT":"stdout","__REALTIME_TIMESTAMP":"1"}`: `{"level":"warn","msg":"the agent was paused"}`,
		`{"MESSAGE":"panic: odd","PRIORITY":"6","_TRANSPORT":"stdout"}`:                                                                       `{"level":"error","msg":"panic: odd"}`,
		`{"MESSAGE":[104,195,164],"PRIORITY":"6","_TRANSPORT":"stdout"}`:                                                                      `{"level":"error","msg":"hä"}`,
		`{"MESSAGE":"Started it.","PRIORITY":"6","_TRANSPORT":"journal","__REALTIME_TIMESTAMP":"1772355600500000"}`:                           `{"level":"info","logger":"systemd","msg":"Started it.","time":"2026-03-01T09:00:00.500Z"}`,
		`{"MESSAGE":"Failed with result.","PRIORITY":"4","_TRANSPORT":"journal"}`:                                                             `{"level":"warn","logger":"systemd","msg":"Failed with result."}`,
		`{"MESSAGE":null,"PRIORITY":"3","_TRANSPORT":"journal"}`:                                                                              `{"level":"error","logger":"systemd","msg":""}`,
		`no JSON`: `no JSON`,
	} {
		if got := string(journalLine([]byte(entry))); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", entry, got, want)
		}
	}
}

func TestLinesThatComeInPiecesAreWhole(t *testing.T) {
	var got []string
	w := &lineWriter{each: func(line []byte) { got = append(got, string(line)) }}
	for _, piece := range []string{"on", "e\ntwo\nth", "ree\n", "rest"} {
		if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	if strings.Join(got, "|") != "one|two|three" {
		t.Errorf("got %q", got)
	}
}
