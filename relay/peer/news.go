package peer

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"sallyport/relay/event"
)

// maxNotice is the longest line that a relay says on a link, in bytes.
const maxNotice = 64 << 10

// listen takes in what the other relay says, until the link ends.
func (l *link) listen(resp *http.Response) error {
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxNotice)
	for lines.Scan() {
		var n notice
		if err := json.Unmarshal(lines.Bytes(), &n); err != nil {
			return fmt.Errorf("read what the relay says: %w", err)
		}
		if !l.peers.doubled(l) {
			l.peers.heed(n)
		}
		if n.Leaving {
			select {
			case <-l.leave():
				return errLeaves
			case <-resp.Request.Context().Done():
			}
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errors.New("it closed the connection")
}

// heed takes in what another relay says.
func (p *Peers) heed(n notice) {
	if n.Arrived != "" {
		p.arrived(n.Arrived)
	}
	if n.Missed {
		p.missed()
	}
	if e := n.Event; e != nil && p.opts.Events != nil {
		p.opts.Events.Pass(event.Event{WorkspaceID: e.WorkspaceID, Type: e.Type, ID: e.ID})
	}
}

// arrived takes in that an agent has opened a tunnel to another relay.
func (p *Peers) arrived(agentID string) {
	p.lookups.forget(agentID)
	p.nudge()
}

func (p *Peers) nudge() { p.hub.Nudge() }

// missed tells those who watch that events of another relay were lost.
func (p *Peers) missed() {
	if p.opts.Events != nil {
		p.opts.Events.Lose()
	}
}

// Announce implements hub.Elsewhere: an agent has opened a tunnel to this relay.
func (p *Peers) Announce(agentID string) { p.callers.tell(notice{Arrived: agentID}) }
