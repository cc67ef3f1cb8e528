package web

import (
	"fmt"
	"time"

	"sallyport/proto"
	"sallyport/relay/registry"
)

// agentStatus is an agent's live state: a shape, a word, and what else fits
// into one line.
type agentStatus struct {
	Status string // names the shape
	Word   string
	Detail string
	Since  time.Time // of being offline; zero: not shown
}

func statusOf(a registry.Agent) agentStatus {
	s := agentStatus{Status: string(a.Status)}
	switch a.Status {
	case registry.Online:
		s.Word = "Online"
	case registry.Offline:
		s.Word = "Offline"
		s.Detail, s.Since = "since", a.LastSeenAt
	case registry.Paused:
		s.Word = "Paused by the site"
		if p := pauseOf(a); p != nil {
			s.Detail, s.Since = "since", p.Since
		}
	default:
		s.Word = "Never connected"
	}
	return s
}

// pauseOf is what the site says of its pause; nil: it has not paused the agent.
func pauseOf(a registry.Agent) *proto.Paused {
	if a.Status != registry.Paused {
		return nil
	}
	for _, in := range a.Instances {
		if in.Online && in.Paused != nil {
			return in.Paused
		}
	}
	return nil
}

// agentLine is an agent in the dropdown: "● Online · 2 machines · 34 ms".
func agentLine(a registry.Agent) (line string, since time.Time) {
	switch a.Status {
	case registry.Online:
		n, latency := online(a)
		line = a.Name + " · ● Online · " + plural(n, "machine")
		if latency > 0 {
			line += " · " + milliseconds(latency)
		}
		return line, time.Time{}
	case registry.Offline:
		return fmt.Sprintf("%s · ○ Offline since %s UTC", a.Name, a.LastSeenAt.UTC().Format("15:04")), a.LastSeenAt
	case registry.Paused:
		return a.Name + " · ‖ Paused by the site", time.Time{}
	default:
		return a.Name + " · ○ Never connected", time.Time{}
	}
}

// online is how many machines hold a tunnel now, and the best latency of them.
func online(a registry.Agent) (machines int, latencyMs float64) {
	for _, in := range a.Instances {
		if !in.Online {
			continue
		}
		machines++
		if ms := msOf(in.Latency); ms > 0 && (latencyMs == 0 || ms < latencyMs) {
			latencyMs = ms
		}
	}
	return machines, latencyMs
}

func msOf(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
