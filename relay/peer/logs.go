package peer

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"sallyport/relay/hub"
)

// tailEvery is how often it is looked whether relays have come to hold an agent
// whose log is followed.
const tailEvery = time.Second

// FollowLogs follows the log of an agent's machines as hub.FollowLogs does, also
// of those that are connected to other relays.
func (p *Peers) FollowLogs(agentID, instanceID, level string) *hub.LogReader {
	reader := p.hub.FollowLogs(agentID, instanceID, level)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		query := url.Values{"agent": {agentID}, "instance": {instanceID}, "level": {level}}
		p.work.Go(func() { p.tail(reader, agentID, "?"+query.Encode()) })
	}
	return reader
}

// tail follows the log at each relay that holds the agent, until the reader is
// closed.
func (p *Peers) tail(reader *hub.LogReader, agentID, query string) {
	ctx, cancel := context.WithCancel(p.life)
	defer cancel()
	ended, following := make(chan *link), make(map[*link]bool)
	defer func() {
		cancel()
		for range following {
			<-ended
		}
	}()
	ticker := time.NewTicker(tailEvery)
	defer ticker.Stop()
	for {
		for _, h := range p.holdings(ctx, agentID) {
			if l := p.linkTo(h.Relay); l != nil && l.up() && !following[l] {
				following[l] = true
				go func() {
					l.tail(ctx, reader, query)
					ended <- l
				}()
			}
		}
		select {
		case <-reader.Closed():
			return
		case <-p.life.Done():
			return
		case l := <-ended:
			delete(following, l)
		case <-ticker.C:
		}
	}
}

// tail hands on what the other relay says of the log, until that ends or another
// link has taken this one's place.
func (l *link) tail(ctx context.Context, reader *hub.LogReader, query string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.use, cancel)()
	conn, err := l.take("")
	if err != nil {
		return
	}
	defer l.release("")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+l.relay.Address+pathLogs+query, nil)
	if err != nil {
		conn.Release()
		return
	}
	resp, err := conn.RoundTrip(req)
	if err != nil {
		return // it is tried again
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return
	}
	for lines := json.NewDecoder(resp.Body); ; {
		var news hub.LogNews
		if err := lines.Decode(&news); err != nil {
			return
		}
		reader.Deliver(news)
	}
}

// tellLogs tells another relay what an agent's machines log that are connected to
// this one.
func (p *Peers) tellLogs(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	reader := p.hub.FollowLogs(query.Get("agent"), query.Get("instance"), query.Get("level"))
	defer reader.Close()
	tell(w, r, reader.C, p.callers.over())
}
