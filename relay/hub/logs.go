package hub

import (
	"slices"
	"sync"

	"sallyport/proto"
)

// logsWaiting is how many messages of log lines wait for a reader that falls
// behind; what is more is counted.
const logsWaiting = 64

// LogNews is what one machine of an agent says of its log.
type LogNews struct {
	InstanceID, Hostname string
	Lines                []proto.LogLine // oldest first
	Dropped              int             // lines that were lost before these
	Off                  bool            // its site does not share its log
}

// LogReader follows the log of an agent's machines that hold a tunnel to this
// relay, and of others that are delivered to it, until it is closed.
type LogReader struct {
	// C delivers what they say. It is never closed.
	C <-chan LogNews

	c        chan LogNews
	hub      *Hub
	agentID  string
	instance string // "": all of them
	level    int
	closing  sync.Once
	closed   chan struct{}
	dropped  map[string]int // by instance: lines for which there was no room; guarded by the hub's mu
}

// logLevels are the levels by their weight.
var logLevels = []string{"debug", "info", "warn", "error"}

// logBook is who follows the log of an agent, and which tunnels were asked for
// it. It is guarded by the hub's mu.
type logBook struct {
	readers []*LogReader
	asked   map[string]askedLog // by instance
}

// askedLog is the tunnel down which an instance sends its log, and from which
// level on.
type askedLog struct {
	t     *tunnel
	level int
}

// FollowLogs begins to follow the log of an agent: of one machine, or with
// instanceID "" of all; from a level on. Machines that come later are followed,
// too.
func (h *Hub) FollowLogs(agentID, instanceID, level string) *LogReader {
	r := &LogReader{c: make(chan LogNews, logsWaiting), hub: h, agentID: agentID, instance: instanceID,
		level: max(slices.Index(logLevels, level), 0), closed: make(chan struct{}), dropped: make(map[string]int)}
	r.C = r.c
	h.mu.Lock()
	defer h.mu.Unlock()
	book := h.logs[agentID]
	if book == nil {
		book = &logBook{asked: make(map[string]askedLog)}
		h.logs[agentID] = book
	}
	book.readers = append(book.readers, r)
	h.askForLogs(agentID)
	return r
}

// Close ends it.
func (r *LogReader) Close() {
	r.closing.Do(func() {
		close(r.closed)
		h := r.hub
		h.mu.Lock()
		defer h.mu.Unlock()
		book := h.logs[r.agentID]
		book.readers = slices.DeleteFunc(book.readers, func(other *LogReader) bool { return other == r })
		h.askForLogs(r.agentID)
		if len(book.readers) == 0 {
			delete(h.logs, r.agentID)
		}
	})
}

// Closed is closed when the reader is.
func (r *LogReader) Closed() <-chan struct{} { return r.closed }

// Deliver hands the reader what another relay says of a machine's log, unless the
// machine holds a tunnel here, too, and says it by that.
func (r *LogReader) Deliver(n LogNews) {
	h := r.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if a := h.agents[r.agentID]; a != nil && slices.ContainsFunc(a.tunnels, func(t *tunnel) bool { return t.hello.InstanceID == n.InstanceID }) {
		return
	}
	r.take(n)
}

// askForLogs asks each instance of an agent for what somebody wants to read of
// it, down one of its tunnels. It is called whenever readers or tunnels change;
// mu is held.
func (h *Hub) askForLogs(agentID string) {
	book, a := h.logs[agentID], h.agents[agentID]
	if book == nil || a == nil {
		return
	}
	here := make(map[string]bool)
	for _, t := range a.tunnels {
		id := t.hello.InstanceID
		before, asked := book.asked[id]
		if here[id] || asked && before.t != t && slices.Contains(a.tunnels, before.t) {
			continue
		}
		here[id] = true
		switch level := book.level(id); {
		case level < 0 && asked:
			t.tell(&proto.FollowLogs{})
			delete(book.asked, id)
		case level >= 0 && (!asked || before.t != t || before.level != level):
			t.tell(&proto.FollowLogs{Level: logLevels[level]})
			book.asked[id] = askedLog{t, level}
		}
	}
}

// level is the least that somebody wants to read of an instance; -1: nobody
// does.
func (b *logBook) level(instanceID string) int {
	least := -1
	for _, r := range b.readers {
		if (r.instance == "" || r.instance == instanceID) && (least < 0 || r.level < least) {
			least = r.level
		}
	}
	return least
}

// toldLogs hands log lines to those who follow them. It runs in the tunnel's
// reader: who falls behind is not waited for.
func (h *Hub) toldLogs(t *tunnel, m *proto.LogLines) {
	h.mu.Lock()
	defer h.mu.Unlock()
	book := h.logs[t.hello.AgentID]
	if book == nil || book.asked[t.hello.InstanceID].t != t {
		return
	}
	for _, r := range book.readers {
		if r.instance == "" || r.instance == t.hello.InstanceID {
			r.take(LogNews{InstanceID: t.hello.InstanceID, Hostname: t.hello.Hostname, Lines: m.Lines, Dropped: m.Dropped, Off: m.Off})
		}
	}
}

// take delivers what the reader wants of the news; the hub's mu is held.
func (r *LogReader) take(n LogNews) {
	n.Lines = slices.DeleteFunc(slices.Clone(n.Lines), func(l proto.LogLine) bool { return slices.Index(logLevels, l.Level) < r.level })
	n.Dropped += r.dropped[n.InstanceID]
	if len(n.Lines) == 0 && n.Dropped == 0 && !n.Off {
		return
	}
	select {
	case r.c <- n:
		delete(r.dropped, n.InstanceID)
	default:
		r.dropped[n.InstanceID] = n.Dropped + len(n.Lines)
	}
}
