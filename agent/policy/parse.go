package policy

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/time/rate"

	"sallyport/internal/bytesize"
)

// maxRule is the longest that a rule may be, in bytes.
const maxRule = 2048

// SyntaxError is what is wrong with a rule, and where.
type SyntaxError struct {
	Line    int    // in the file; 0: the rule came from elsewhere
	Rule    string // as it was written
	Part    string // the faulty part; "": the whole
	Problem string // what is wrong with it and what may stand there
}

func (e *SyntaxError) Error() string {
	where, part := "", strconv.Quote(e.Part)+" "
	if e.Line > 0 {
		where = fmt.Sprintf("line %d: ", e.Line)
	}
	if e.Part == "" {
		part = ""
	}
	return fmt.Sprintf("%srule %q: %s%s", where, e.Rule, part, e.Problem)
}

// faulty is a SyntaxError in the making; ParseRule adds the rule.
func faulty(part, problem string) error { return &SyntaxError{Part: part, Problem: problem} }

// ParseRule reads a rule. Its errors are *SyntaxError.
func ParseRule(text string) (*Rule, error) {
	r, err := parseRule(text)
	if e, ok := err.(*SyntaxError); ok {
		e.Rule = shorten(text, 200)
		e.Part = shorten(e.Part, 100)
		return nil, e
	}
	return r, err
}

// ParseAllow reads a rule that is meant to allow something, as a person writes
// it after --allow: the word itself may be left out.
func ParseAllow(text string) (*Rule, error) {
	if first, _, _ := strings.Cut(strings.TrimSpace(text), " "); first != "allow" && first != "deny" {
		text = "allow " + text
	}
	r, err := ParseRule(text)
	if err == nil && r.deny {
		return nil, &SyntaxError{Rule: text, Part: "deny", Problem: "allows nothing: write what is to be allowed"}
	}
	return r, err
}

func parseRule(text string) (*Rule, error) {
	if len(text) > maxRule {
		return nil, faulty("", fmt.Sprintf("is longer than %d bytes", maxRule))
	}
	if !isText(strings.ReplaceAll(text, "\t", " ")) {
		return nil, faulty("", "is no text on one line")
	}
	words := strings.Fields(text)
	const form = "expected: allow or deny, methods, then scheme://host:ports/path, such as allow GET,POST https://erp.plant2.internal/api/**"
	if len(words) == 0 {
		return nil, faulty("", form)
	}
	r := &Rule{deny: words[0] == "deny"}
	if !r.deny && words[0] != "allow" {
		return nil, faulty(words[0], "can't begin a rule: write allow or deny")
	}
	words = words[1:]
	if len(words) > 0 && !strings.Contains(words[0], "://") {
		if err := r.parseMethods(words[0]); err != nil {
			return nil, err
		}
		words = words[1:]
	}
	if len(words) == 0 {
		return nil, faulty("", form)
	}
	if err := r.parseTarget(words[0]); err != nil {
		return nil, err
	}
	for _, word := range words[1:] {
		if err := r.parseLimit(word); err != nil {
			return nil, err
		}
	}
	r.text = r.canonical()
	return r, nil
}

// tokenChars are those of a method (RFC 9110, section 5.6.2), but for *.
const tokenChars = "!#$%&'+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

func (r *Rule) parseMethods(text string) error {
	if text == "*" {
		return nil
	}
	for m := range strings.SplitSeq(strings.ToUpper(text), ",") {
		if m == "" || strings.Trim(m, tokenChars) != "" {
			return faulty(text, "names no methods: write GET, or several such as GET,POST, or * for all")
		}
		r.methods = append(r.methods, m)
	}
	r.methods = sortMethods(r.methods)
	return nil
}

func (r *Rule) parseTarget(text string) error {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return faulty(text, "is no target: write it like https://erp.plant2.internal/api/**, with * for any scheme or host")
	}
	switch strings.ToLower(scheme) {
	case "*":
	case "http", "https":
		r.scheme = strings.ToLower(scheme)
	default:
		return faulty(scheme, "is no scheme: write http, https, or * for both")
	}
	if at := strings.IndexAny(rest, "?#@"); at >= 0 && (rest[at] != '@' || !strings.Contains(rest[:at], "/")) {
		return faulty(rest[at:], map[byte]string{
			'?': "is a query, which rules do not look at: leave it out; a ? in the path itself is %3F",
			'#': "is a fragment, which is never sent: leave it out; a # in the path itself is %23",
			'@': "follows a user name, which no rule has: leave it out",
		}[rest[at]])
	}
	var err error
	if r.host, rest, err = cutHost(rest); err != nil {
		return err
	}
	if after, ok := strings.CutPrefix(rest, ":"); ok {
		end := strings.IndexByte(after, '/')
		if end < 0 {
			end = len(after)
		}
		if r.ports, err = parsePorts(after[:end]); err != nil {
			return err
		}
		r.ports = r.ports.plain(r.scheme, r.deny)
		rest = after[end:]
	}
	r.path, err = parsePath(rest, r.deny)
	return err
}

func (r *Rule) parseLimit(word string) error {
	name, value, _ := strings.Cut(word, "=")
	known := map[string]bool{"rate": true, "body": true}
	switch {
	case !known[name]:
		return faulty(word, "can't follow the target: what may is rate=, such as rate=50/s, and body=, such as body=10MB")
	case r.deny:
		return faulty(word, "has no meaning in a deny rule: give limits to the rule that allows")
	case name == "rate" && r.rate.Per != 0, name == "body" && r.body != 0:
		return faulty(word, "comes a second time")
	case name == "rate":
		return r.parseRate(value)
	}
	n, ok := bytesize.Parse(value)
	if !ok {
		return faulty(word, "is no size: write one such as body=10MB or body=512KiB")
	}
	r.body = n
	return nil
}

func (r *Rule) parseRate(value string) error {
	count, per, _ := strings.Cut(value, "/")
	n, err := strconv.ParseUint(count, 10, 32)
	if err != nil || n < 1 || n > 1_000_000 || len(per) != 1 || !strings.Contains("smh", per) {
		return faulty("rate="+value, "is no rate: write up to a million requests per second, minute or hour, such as rate=50/s, rate=600/m or rate=1000/h")
	}
	r.rate = Rate{Requests: int(n), Per: per[0]}
	r.bucket = rate.NewLimiter(r.rate.perSecond(), r.rate.Requests)
	return nil
}

func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
