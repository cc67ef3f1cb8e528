// Package policy decides what the relay may reach through this agent. A site's
// admin writes rules into agent.yaml; the agent's chain of transports asks an
// Engine for every request (Wrap) and for every address that is connected to.
// The package parses, decides, explains and suggests. It opens no connection,
// looks up no name and reads no file of its own accord.
//
// # A rule
//
// A rule is one line, the same in agent.yaml, on the command line and in the
// errors that propose one:
//
//	allow GET,POST https://erp.plant2.internal:8443/api/** rate=50/s body=10MB
//	deny * *://10.0.0.0/8:22
//
//	rule    = action [ methods ] scheme "://" host [ ":" ports ] [ path ] [ "rate=" rate ] [ "body=" size ]
//	action  = "allow" | "deny"
//	methods = "*" | method { "," method }          ; left out: *.  GET includes HEAD
//	scheme  = "http" | "https" | "*"
//	host    = "*" | name | address | network
//	name    = [ "**." ] label { "." label }        ; * in a label is any part of it, ** any number of labels, one at least
//	address = IPv4 | "[" IPv6 "]"
//	network = IPv4 "/" bits | "[" (IPv4 | IPv6) "/" bits "]"
//	ports   = "*" | range { "," range } ;  range = port [ "-" port ]
//	path    = "/" [ segment { "/" segment } ]      ; * in a segment is any part of it, ** any number of segments, none included
//	rate    = number "/" ( "s" | "m" | "h" )       ; that many at once, then refilled evenly
//	size    = number ( "B" | "KB" | "MB" | "GB" | "KiB" | "MiB" | "GiB" )
//
// What a rule leaves out is read on the safe side: without ports, an allow rule
// means the scheme's own (80, 443), a deny rule all of them; without a path,
// either means all paths.
//
// # The decision
//
// The rules are read from the top, and the first that matches decides. If none
// does, the default decides: deny as soon as there is one allow rule, else
// allow; `default:` says otherwise.
//
// A rule for a network matches a request by name where the address that is
// connected to lies in it. An allow rule by name vouches for the name only: the
// address must also pass the deny rules for networks, wherever they stand, so
// that whoever rules the DNS cannot lead a request anywhere. Link-local and
// cloud metadata addresses are refused unless a rule allows them in so many
// words (guard.go).
//
// # Spellings
//
// Names are compared without regard to case and a final dot, in their ASCII
// form. Paths are compared segment by segment, decoded, without empty segments
// and without what follows a semicolon in one. Where applications are known to
// read a spelling in two ways (an encoded slash, a second layer of encoding, a
// header that overrides method or path), an allow rule has to match every
// reading and a deny rule any one. A path that climbs (.., also encoded) or is
// no text matches every deny rule that names a path, and no allow rule that
// does. Deny rules disregard case in methods and paths.
package policy
