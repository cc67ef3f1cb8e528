package proto

import (
	"errors"
	"time"
)

// OfflineCause is why an agent was offline, by what it found out itself.
type OfflineCause string

// Causes. New ones may be added; a relay shows one that it does not know as it
// is.
const (
	CauseStopped        OfflineCause = "stopped"              // in order; Detail says by what
	CauseCrashed        OfflineCause = "crashed"              // the program ended without a word: killed, or a fault of its own
	CauseRebooted       OfflineCause = "rebooted"             // the machine was restarted, or lost power
	CauseSlept          OfflineCause = "slept"                // the machine was asleep
	CauseNoNetwork      OfflineCause = "no_network"           // the machine had no network
	CauseDNS            OfflineCause = "relay_name_not_found" // no address for the relay's name
	CauseUnreachable    OfflineCause = "relay_unreachable"    // refused the connection, or did not answer
	CauseCertificate    OfflineCause = "certificate"          // no trust in the relay's certificate
	CauseProxy          OfflineCause = "proxy"                // the proxy was not reached, or did not let through
	CauseProxyAuth      OfflineCause = "proxy_auth"           // the proxy wanted a login (407)
	CauseDenied         OfflineCause = "denied"               // something in between answered 401 or 403
	CauseBusy           OfflineCause = "relay_busy"           // 429, 502, 503 or 504
	CauseNotRelay       OfflineCause = "not_a_relay"          // another server, or a login page of the network
	CauseRefused        OfflineCause = "refused"              // the relay refused this machine; Detail has the code
	CauseSuperseded     OfflineCause = "superseded"           // another agent that has the same identity took its place
	CauseConnectionLost OfflineCause = "connection_lost"      // the connection broke, and the next one worked
)

// OfflineReport says why this instance had no tunnel for a while. The agent
// sends it when it is back, by the clock of its machine, and again with every
// new tunnel until the relay has noted it.
type OfflineReport struct {
	ID     string       `json:"id"` // of the report; the same when it is sent again
	From   time.Time    `json:"from"`
	To     time.Time    `json:"to"`
	Cause  OfflineCause `json:"cause"`
	Detail string       `json:"detail,omitempty"` // one sentence for a person
}

// MaxOfflineDetail is the longest detail, in bytes.
const MaxOfflineDetail = 400

// OfflineNoted says that the relay has written a report down.
type OfflineNoted struct {
	ID string `json:"id"`
}

func (*OfflineReport) controlKind() string { return "offlineReport" }
func (*OfflineNoted) controlKind() string  { return "offlineNoted" }

func (r *OfflineReport) validate() error {
	if err := checkID("id", r.ID); err != nil {
		return err
	}
	if r.From.IsZero() || r.To.Before(r.From) {
		return errors.New("it ends before it begins")
	}
	if err := checkID("cause", string(r.Cause)); err != nil {
		return err
	}
	return checkText("detail", r.Detail, 0, MaxOfflineDetail)
}

func (n *OfflineNoted) validate() error { return checkID("id", n.ID) }
