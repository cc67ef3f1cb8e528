package peer

import (
	"crypto/tls"
	"time"

	"go.uber.org/zap"
)

// renewalBefore is how long before the first of a connection's two certificates
// ends another connection is made in its place. Certificates are shown in the
// first half of their lives, so there are some hours before that, and some after
// it to make the other one.
const renewalBefore = renewBefore / 2

// firstToEnd is when the first of the certificates ends by which two relays know
// each other on a connection.
func firstToEnd(own *tls.Certificate, s *tls.ConnectionState) time.Time {
	if theirs := s.PeerCertificates[0].NotAfter; theirs.Before(own.Leaf.NotAfter) {
		return theirs
	}
	return own.Leaf.NotAfter
}

// renew has another link follow each one whose certificates end before long. The
// first serves until the other is up, and then retires with its last request.
func (p *Peers) renew() {
	if p.follow(p.opts.Clock()) {
		p.nudge()
		p.missed() // notices that came by either link in that moment
	}
}

// follow begins links that are to follow others, and reports whether one has.
func (p *Peers) follow(now time.Time) (followed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	for id, l := range p.links {
		switch {
		case l.next != nil && l.next.up():
			p.links[id] = l.next
			l.retire()
			followed = true
			p.log.Info("connection to a relay made anew, before its certificates end", zap.String("relay", id), zap.String("address", l.relay.Address))
		case l.next == nil && l.due(now):
			l.next = newLink(p, l.relay)
			p.work.Go(l.next.run)
		case l.next != nil && !l.due(now): // it broke, and is made anew by itself
			l.next.end()
			l.next = nil
		}
	}
	return followed
}

// due reports whether a certificate of the link ends before long.
func (l *link) due(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn != nil && !l.leaving && now.Add(renewalBefore).After(l.certified)
}

// doubled reports whether another link to the same relay is up and in use, while
// this one is about to follow it, or has retired: the relay tells both the same.
func (p *Peers) doubled(l *link) bool {
	p.mu.Lock()
	used := p.links[l.relay.ID]
	p.mu.Unlock()
	return used != nil && used != l && used.up()
}

// drop ends a link at once; the Peers' mu is held.
func (l *link) drop() {
	l.end()
	if l.next != nil {
		l.next.end()
	}
}
