package proto_test

import (
	"strings"
	"testing"

	"sallyport/proto"
)

func TestFillComesBack(t *testing.T) {
	for _, f := range []proto.Fill{
		{Mark: "agent.secret.erp-1.ABCDEFGHIJ_0_", Place: proto.FillInBody, Escape: "json", Secret: "erp-1"},
		{Mark: "agent.secret.erp-1.ABCDEFGHIJ_1_", Place: proto.FillInURI, Escape: "uri", Secret: "erp-1"},
		{Mark: "agent.secret.erp-1.ABCDEFGHIJ_2_", Place: proto.FillInHeader + "X-Api-Key", Escape: "header", Secret: "k"},
	} {
		got, err := proto.ParseFill(f.String())
		if err != nil || got != f {
			t.Errorf("%q: %+v, %v", f, got, err)
		}
	}
}

func TestMarksAreShownAsPlaceholders(t *testing.T) {
	const mark, other = "agent.secret.erp.ABCDEFGHIJ_0_", "agent.secret.erp.ABCDEFGHIJ_1_"
	fills := []string{mark + " uri uri erp", other + " header=X-Key header erp", "nonsense"}
	if got := proto.ShowMarks("/a/"+mark+"/b?"+other+"=c", fills); got != "/a/{{agent.secret.erp}}/b?{{agent.secret.erp}}=c" {
		t.Error(got)
	}
	if got := proto.ShowMarks("/a/"+mark, nil); got != "/a/"+mark {
		t.Errorf("%s: nobody has named the mark", got)
	}
}

func TestFaultyFillIsRefused(t *testing.T) {
	const mark = "agent.secret.erp.ABCDEFGHIJ_0_"
	for line, want := range map[string]string{
		"":                                     "parts",
		mark + " body json":                    "parts",
		mark + " body json a b":                "parts",
		"short body json a":                    "faulty mark",
		strings.Repeat("a", 30) + "% body x a": "faulty mark",
		mark + " trailer json a":               "unknown place",
		mark + " header= header a":             "unknown place",
		mark + " header=sallyport-fill x a":    "no field of the target's",
		mark + " body json ":                   "faulty name",
		mark + " body json ä":                  "faulty name",
	} {
		if _, err := proto.ParseFill(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
}
