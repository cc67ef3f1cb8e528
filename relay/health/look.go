package health

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/probe"
	"sallyport/relay/store"
)

// look is what a connection looked like at one check: whatever may be the reason
// when it looks otherwise, and no longer works.
type look struct {
	Version int64 `json:"version"` // of the connection
	// Machines are those of its agent that were connected, and the versions of
	// their agents, by host name.
	Machines    map[string]string  `json:"machines,omitempty"`
	Certificate *proto.Certificate `json:"certificate,omitempty"`
	Answer      *probe.Answer      `json:"answer,omitempty"`
}

// Kinds of a Difference.
const (
	Configuration = "configuration"
	AgentVersion  = "agent_version"
	Machine       = "machine"
	Certificate   = "certificate"
	Response      = "response"
)

// Difference is something that has changed since a connection last worked. That
// it is the cause is not said.
type Difference struct {
	Kind string     `json:"kind" enum:"configuration,agent_version,machine,certificate,response" doc:"More kinds may be added."`
	Text string     `json:"text" doc:"One sentence."`
	By   string     `json:"by,omitempty" doc:"Of a configuration: who saved it."`
	At   *time.Time `json:"at,omitempty" doc:"Of a configuration: when."`
	// Added and Removed are cut at shownPaths.
	Added   []string `json:"added,omitempty" doc:"Of a response: values that it did not have, each with its type."`
	Removed []string `json:"removed,omitempty" doc:"Of a response: values that it has no more."`
}

const (
	// shownPaths is how many added or removed values are named.
	shownPaths = 20
	// shownSaves is how many saves of a connection are named.
	shownSaves = 5
)

// differences tells how a connection looks otherwise now than it did before.
// What is not known of now, since nothing was answered, is no difference. saves
// are the audit trail's lines about the connection since then, newest first.
func differences(before *look, now look, mode connection.Mode, saves []store.Entry) []Difference {
	if before == nil {
		return nil
	}
	var all []Difference
	if before.Version != now.Version {
		all = append(all, configuration(saves)...)
	}
	if mode == connection.OnPremise && len(before.Machines) > 0 {
		all = append(all, machines(before.Machines, now.Machines)...)
	}
	if now.Certificate != nil && before.Certificate != nil {
		all = append(all, certificates(*before.Certificate, *now.Certificate)...)
	}
	if now.Answer != nil && before.Answer != nil {
		all = append(all, answers(*before.Answer, *now.Answer)...)
	}
	return all
}

func configuration(saves []store.Entry) []Difference {
	var all []Difference
	for _, save := range saves {
		if save.Action != "connection.update" || len(all) == shownSaves {
			continue
		}
		at := save.At
		all = append(all, Difference{Kind: Configuration, By: save.ActorName, At: &at,
			Text: fmt.Sprintf("%s saved the connection on %s and changed %s.", save.ActorName, at.Format("2 January 2006 at 15:04 UTC"), save.Detail)})
	}
	return all
}

func machines(before, now map[string]string) []Difference {
	var all []Difference
	add := func(kind, format string, args ...any) {
		all = append(all, Difference{Kind: kind, Text: fmt.Sprintf(format, args...)})
	}
	for _, host := range slices.Sorted(maps.Keys(before)) {
		version, here := now[host]
		switch {
		case !here:
			add(Machine, "The machine %s of the agent was connected then, and is not now.", host)
		case version != before[host]:
			add(AgentVersion, "The agent on %s went from version %s to %s.", host, before[host], version)
		}
	}
	for _, host := range slices.Sorted(maps.Keys(now)) {
		if _, known := before[host]; !known {
			add(Machine, "The machine %s of the agent, with version %s, was not connected then.", host, now[host])
		}
	}
	return all
}

func certificates(before, now proto.Certificate) []Difference {
	if before.Fingerprint == now.Fingerprint {
		return nil
	}
	text := fmt.Sprintf("The application shows another certificate: SHA-256 %s…, for %s, valid until %s, where it was %s….",
		short(now.Fingerprint), now.Subject, now.NotAfter.Format("2 January 2006"), short(before.Fingerprint))
	if before.Issuer != now.Issuer {
		text += fmt.Sprintf(" It was issued by %s, the one before by %s.", now.Issuer, before.Issuer)
	}
	return []Difference{{Kind: Certificate, Text: text}}
}

// short is enough of a fingerprint to find it by.
func short(fingerprint string) string { return fingerprint[:min(16, len(fingerprint))] }

func answers(before, now probe.Answer) []Difference {
	var all []Difference
	add := func(text string) *Difference {
		all = append(all, Difference{Kind: Response, Text: text})
		return &all[len(all)-1]
	}
	if before.Status != now.Status {
		add(fmt.Sprintf("The ping is answered %d, where it was %d.", now.Status, before.Status))
	}
	if before.ContentType != now.ContentType {
		add(fmt.Sprintf("The answer is %s, where it was %s.", named(now.ContentType), named(before.ContentType)))
	}
	if was, is := before.Shape, now.Shape; was != nil && is != nil && was.Digest != is.Digest {
		d := add("The answer is made of other values.")
		d.Added, d.Removed = beyond(is.Paths, was.Paths), beyond(was.Paths, is.Paths)
		var parts []string
		for word, paths := range map[string][]string{"new": d.Added, "gone": d.Removed} {
			if len(paths) > 0 {
				parts = append(parts, word+": "+strings.Join(paths[:min(len(paths), 5)], ", "))
			}
		}
		slices.Sort(parts)
		slices.Reverse(parts) // what is new comes first
		if len(parts) > 0 {
			d.Text = "The answer is made of other values; " + strings.Join(parts, "; ") + "."
		}
	}
	return all
}

func named(contentType string) string {
	if contentType == "" {
		return "of no Content-Type"
	}
	return contentType
}

// beyond are the paths of a that b lacks.
func beyond(a, b []string) []string {
	var only []string
	for _, path := range a {
		if _, there := slices.BinarySearch(b, path); !there && len(only) < shownPaths {
			only = append(only, path)
		}
	}
	return only
}
