package policy

import (
	"slices"
	"strconv"
	"strings"
)

// ports are the ports of a rule: nil where it names none, empty for all.
type ports []portRange

type portRange struct{ first, last uint16 }

func (p ports) contain(port uint16) bool {
	for _, r := range p {
		if r.first <= port && port <= r.last {
			return true
		}
	}
	return false
}

// String is what follows the host: ":443", ":80,8000-8100", ":*" or nothing.
func (p ports) String() string {
	if p == nil {
		return ""
	}
	if len(p) == 0 {
		return ":*"
	}
	parts := make([]string, len(p))
	for i, r := range p {
		parts[i] = strconv.Itoa(int(r.first))
		if r.last != r.first {
			parts[i] += "-" + strconv.Itoa(int(r.last))
		}
	}
	return ":" + strings.Join(parts, ",")
}

// parsePorts reads what stands between the colon and the path.
func parsePorts(text string) (ports, error) {
	if text == "*" {
		return ports{}, nil
	}
	var p ports
	for item := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(item, "-")
		first, ok := parsePort(from)
		last := first
		if isRange && ok {
			last, ok = parsePort(to)
		}
		if !ok || last < first {
			return nil, faulty(item, "is no port: write a number from 1 to 65535, a range such as 8000-8100, several with commas, or *")
		}
		p = append(p, portRange{first, last})
	}
	return p.merged(), nil
}

func parsePort(text string) (uint16, bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	return uint16(n), err == nil && n > 0 && text[0] != '+'
}

// merged is p in order, with what touches or overlaps in one range.
func (p ports) merged() ports {
	slices.SortFunc(p, func(a, b portRange) int { return int(a.first) - int(b.first) })
	out := p[:1]
	for _, r := range p[1:] {
		if last := &out[len(out)-1]; int(r.first) <= int(last.last)+1 {
			last.last = max(last.last, r.last)
		} else {
			out = append(out, r)
		}
	}
	return out
}

// plain leaves ports out where leaving them out means the same.
func (p ports) plain(scheme string, deny bool) ports {
	all := len(p) == 0 || p[0] == portRange{1, 65535}
	switch {
	case p == nil:
		return nil
	case deny && all:
		return nil
	case all:
		return ports{}
	case !deny && scheme != "" && len(p) == 1 && p[0] == portRange{defaultPort(scheme), defaultPort(scheme)}:
		return nil
	}
	return p
}
