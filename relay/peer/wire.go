package peer

import (
	"net/http"
	"time"

	"sallyport/proto"
)

const (
	// maxHeader is the longest header of a request or of an answer, in bytes: that
	// of an answer on a tunnel. Whoever reads it in the end takes less.
	maxHeader = 1 << 20
	// maxFields is the most that the header of an answer, its trailer or an
	// informational response may take as HTTP/2 counts it; see size. The receiver
	// ends the whole connection over more, with all that is under way on it. So the
	// sender looks first: it is an application, or an agent, that chose the fields.
	maxFields = 2 * maxHeader
	// streamsAtOnce is how many requests one relay sends another at once. More
	// wait as for an agent that is away.
	streamsAtOnce = 1024
	// mostForOne is how many of those one agent may take up: as many as two of its
	// machines work on at once. The rest is for the others.
	mostForOne = streamsAtOnce * 3 / 4
	// streamWindow is how much of a body may be under way, and lie unread at the
	// receiver, on one stream, in bytes: 250 MB/s at a round trip of 2 ms, as
	// there is between machines of one region. Worst, streamsAtOnce × streamWindow
	// = 512 MiB lie unread in each direction, should as many callers, or
	// applications, stop to read at once.
	streamWindow = 512 << 10
	// connectionWindow has room for all of that, so that nobody who stops to read
	// keeps others waiting.
	connectionWindow = streamsAtOnce * streamWindow
	// frame is the most that is read in one piece, in bytes: about a chunk of a tunnel.
	frame = 64 << 10
)

// size is what fields take as HTTP/2 counts them (RFC 9113, section 6.5.2): 32
// bytes each, beside name and value.
func size(h http.Header) (n int) {
	for name, values := range h {
		for _, v := range values {
			n += len(name) + len(v) + 32
		}
	}
	return n
}

// headSize is room for the fields that are added on the way, the status among them.
const headSize = 1 << 10

// tuning is how HTTP/2 is spoken at both ends.
func (p *Peers) tuning() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams:          streamsAtOnce,
		StrictMaxConcurrentRequests:   true,
		MaxReadFrameSize:              frame,
		MaxReceiveBufferPerStream:     streamWindow,
		MaxReceiveBufferPerConnection: connectionWindow,
		SendPingTimeout:               p.opts.Silence,
		PingTimeout:                   p.opts.Silence,
		WriteByteTimeout:              2*p.opts.Silence + time.Second,
	}
}

func onlyHTTP2() *http.Protocols {
	var only http.Protocols
	only.SetHTTP2(true)
	return &only
}

// Requests of one relay to another.
const (
	pathRequest    = "/v1/request"
	pathLink       = "/v1/link"
	pathInstances  = "/v1/instances"
	pathDisconnect = "/v1/disconnect"
	pathLogs       = "/v1/logs"
)

// Fields of POST /v1/request and its answer. They are within the prefix that
// every end strips from what comes from outside. The status of the answer is
// always 200, since HTTP/2 clients stop to send a body at any other.
const (
	headerAgent  = proto.HeaderPrefix + "Peer-Agent"  // the agent's id
	headerMethod = proto.HeaderPrefix + "Peer-Method" // of the request for the target
	headerTarget = proto.HeaderPrefix + "Peer-Target" // its URL
	headerHost   = proto.HeaderPrefix + "Peer-Host"   // its Host
	headerCookie = proto.HeaderPrefix + "Peer-Cookie" // its Cookie lines: HTTP/2 would take them apart
	headerStatus = proto.HeaderPrefix + "Peer-Status" // of the target's answer
	// headerFailure is a proto.Error as base64 of its JSON: in the place of an
	// answer, or in the trailer of one that broke off.
	headerFailure = proto.HeaderPrefix + "Peer-Failure"
)

// reasonNotThere marks the failure of a relay that holds no tunnel of the agent,
// and has sent nothing.
const reasonNotThere proto.Reason = "not_there"

// notice is one line on a link, of JSON.
type notice struct {
	Leaving bool   `json:"leaving,omitempty"` // it takes no more requests
	Arrived string `json:"arrived,omitempty"` // an agent has opened a tunnel to it
	Event   *news  `json:"event,omitempty"`   // something has changed there
	Missed  bool   `json:"missed,omitempty"`  // events before this notice were lost
}

// news is an event, for those who watch at another relay.
type news struct {
	WorkspaceID string `json:"workspaceId"`
	Type        string `json:"type"`
	ID          string `json:"id"`
}

// hopByHop are the fields that describe a single connection (RFC 9110, section
// 7.6.1), and those that frame the message.
var hopByHop = map[string]bool{
	"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Trailer": true, "Connection": true,
	"Keep-Alive": true, "Proxy-Connection": true, "Te": true, "Upgrade": true, "Expect": true,
}
