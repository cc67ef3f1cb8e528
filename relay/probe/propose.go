package probe

import (
	"net/http"

	"sallyport/relay/connection"
)

// maxFound is how many values that a path found are proposed.
const maxFound = 5

// propose says by what the ping's answer could be told to be a success: the
// values at the success path where those that are expected are others, or paths
// where there is none. What is secret is proposed to nobody.
func (r *run) propose(s *Step, e evidence) {
	p := r.c.Ping
	last := e.exchange.Last()
	if last.Status/100 != 2 || last.Method == http.MethodHead {
		return
	}
	var all []connection.Success
	switch {
	case p.SuccessPath == "":
		doc, err := readDocument(last.Header.Get("Content-Type"), r.c.MediaType, e.exchange.Body, e.exchange.Truncated)
		if err != nil || doc.format != formatJSON {
			return
		}
		all = connection.ProposeSuccess(doc.json)
	case e.verdict.cause == causeNoMatch:
		for _, f := range candidates(e.verdict.found) {
			if f.kind != kindArray && f.kind != kindObject && len(all) < maxFound {
				all = append(all, connection.Success{Path: p.SuccessPath, Values: []string{f.text}})
			}
		}
	case e.verdict.ok && len(p.SuccessValues) == 0 && len(e.verdict.found) == 1 && len(e.verdict.found[0].elements) == 0:
		all = append(all, connection.Success{Path: p.SuccessPath, Values: []string{e.verdict.found[0].text}})
	}
	for _, proposal := range all {
		shown := true
		for _, v := range proposal.Values {
			shown = shown && len(v) <= 100 && r.mask.text(v) == v
		}
		if shown {
			s.Proposals = append(s.Proposals, proposal)
		}
	}
}
