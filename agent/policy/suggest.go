package policy

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Sent is a request as the agent's ledger has it, one JSON object a line.
type Sent struct {
	Time     time.Time `json:"time"`
	Method   string    `json:"method"`
	URL      string    `json:"url"`
	Status   int       `json:"status"`   // 0: no application answered
	Decision string    `json:"decision"` // of the policy of that time
}

// Suggestion is a rule that would allow requests like some that were sent.
type Suggestion struct {
	Rule     *Rule
	Requests int
	Last     time.Time
}

// Suggester gathers requests and suggests rules for them: few, which a person
// can read, each for one application. Make it with new.
type Suggester struct {
	origins    map[string]*origin
	skipped    int
	unreadable int
}

// origin is an application, by what its URLs have before the path.
type origin struct {
	asked  asked // of any request to it
	shapes map[string]*shape
}

// shape is what requests have in common whose paths differ in ids only.
type shape struct {
	parts   []part
	methods map[string]bool
	count   int
	last    time.Time
}

// ReadLines adds the requests in a file of the ledger that pass the filter. A
// line that is none of the ledger's is passed over, and counted: a full disk and
// a loss of power cut lines. The last one may just be being written.
func (s *Suggester) ReadLines(r io.Reader, filter func(*Sent) bool) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the ledger: %w", err)
		}
		if len(strings.TrimSpace(string(line))) > 0 {
			var sent Sent
			switch parsed := json.Unmarshal(line, &sent); {
			case parsed != nil && err == nil:
				s.unreadable++
			case parsed == nil && filter(&sent):
				s.Add(&sent)
			}
		}
		if err != nil {
			return nil
		}
	}
}

// Answered passes requests that the policy let through and an application knew
// what to do with.
func Answered(sent *Sent) bool {
	return sent.Status > 0 && sent.Status != http.StatusNotFound && sent.Decision != "denied"
}

// Add adds a request.
func (s *Suggester) Add(sent *Sent) {
	u, err := url.Parse(sent.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.HasSuffix(sent.URL, "…") { // the ledger's mark of a URL cut short
		s.skipped++
		return
	}
	var a asked
	a.ask(&http.Request{Method: sent.Method, URL: u})
	a.readPaths()
	if a.called() == "" || a.port == 0 || a.reading.fault != nil {
		s.skipped++
		return
	}
	pattern, err := parsePath(patternOf(&a.reading), false)
	if err != nil {
		s.skipped++
		return
	}
	if s.origins == nil {
		s.origins = map[string]*origin{}
	}
	name := a.origin(a.called())
	o := s.origins[name]
	if o == nil {
		o = &origin{asked: a, shapes: map[string]*shape{}}
		s.origins[name] = o
	}
	o.add(&a, pattern, sent.Time)
}

func (o *origin) add(a *asked, pattern pathPattern, at time.Time) {
	key := pattern.String()
	sh := o.shapes[key]
	if sh == nil {
		sh = &shape{parts: pattern.parts, methods: map[string]bool{}}
		if sh.parts == nil { // all paths
			sh.parts = []part{{text: "**", deep: true}}
		}
		o.shapes[key] = sh
	}
	sh.methods[a.method] = true
	sh.count++
	if at.After(sh.last) {
		sh.last = at
	}
}

// Skipped is how many requests no rule can be made for.
func (s *Suggester) Skipped() int { return s.skipped }

// Unreadable is how many lines were no requests.
func (s *Suggester) Unreadable() int { return s.unreadable }

// Suggest suggests the rules, one application after the other.
func (s *Suggester) Suggest() []Suggestion {
	var out []Suggestion
	for _, name := range slices.Sorted(maps.Keys(s.origins)) {
		out = append(out, s.origins[name].suggest()...)
	}
	return out
}

// suggest folds paths where there are many. What only reads is folded by itself,
// so that a rule that was seen to be needed for reading lets nothing be changed.
func (o *origin) suggest() []Suggestion {
	methods := map[string]map[string]bool{} // by path
	for _, writing := range []bool{false, true} {
		var root branch
		for _, sh := range o.shapes {
			if slices.ContainsFunc(slices.Collect(maps.Keys(sh.methods)), func(m string) bool { return writes(m) == writing }) {
				root.grow(sh.parts)
			}
		}
		for _, path := range root.fold(nil) {
			key := (&pathPattern{path}).String()
			if methods[key] == nil {
				methods[key] = map[string]bool{}
			}
			for _, sh := range o.shapes {
				for m := range sh.methods {
					if writes(m) == writing && covers(path, sh.parts) {
						methods[key][m] = true
					}
				}
			}
		}
	}
	var out []Suggestion
	for _, key := range slices.Sorted(maps.Keys(methods)) {
		list := strings.Join(slices.Sorted(maps.Keys(methods[key])), ",")
		r, err := ParseRule("allow " + list + " " + proposedOrigin(&o.asked, o.asked.called(), key) + key)
		if err != nil { // a method that no rule can name
			continue
		}
		out = append(out, o.counted(r))
	}
	return out
}

// counted is a rule with the requests that it would have allowed.
func (o *origin) counted(r *Rule) Suggestion {
	s := Suggestion{Rule: r}
	for _, sh := range o.shapes {
		if covers(r.path.parts, sh.parts) && slices.ContainsFunc(slices.Collect(maps.Keys(sh.methods)), r.hasMethod) {
			s.Requests += sh.count
			if sh.last.After(s.Last) {
				s.Last = sh.last
			}
		}
	}
	return s
}

func writes(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}

// covers says whether a pattern matches all that a narrower one does; nil is
// the pattern for all paths.
func covers(pattern, shape []part) bool {
	if pattern == nil {
		return true
	}
	texts := make([]string, len(shape))
	for i, p := range shape {
		texts[i] = p.text
	}
	return matchParts(pattern, texts, false)
}

// branch is a tree of paths.
type branch struct {
	ends     bool // a path does
	children map[string]*branch
	part     part
}

func (b *branch) grow(path []part) {
	for _, p := range path {
		if b.children == nil {
			b.children = map[string]*branch{}
		}
		next := b.children[p.text]
		if next == nil {
			next = &branch{part: p}
			b.children[p.text] = next
		}
		b = next
	}
	b.ends = true
}

// How many paths below a folder, and how many of an application, a person still
// reads one by one.
const (
	mostBelow = 4
	mostOfOne = 8
)

// fold lists the paths of the tree, with a folder in place of many below it.
func (b *branch) fold(prefix []part) [][]part {
	var out [][]part
	if b.ends {
		out = append(out, append([]part{}, prefix...))
	}
	for _, name := range slices.Sorted(maps.Keys(b.children)) {
		child := b.children[name]
		out = append(out, child.fold(append(slices.Clone(prefix), child.part))...)
	}
	switch {
	case prefix == nil && len(out) > mostOfOne:
		return [][]part{nil}
	case prefix != nil && len(out) > mostBelow:
		return [][]part{append(slices.Clone(prefix), part{text: "**", deep: true})}
	}
	return out
}
