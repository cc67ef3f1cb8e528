// Package health watches over saved connections: it pings each on a schedule,
// keeps what it finds, says how the connection does (online, failing, offline,
// or unknown), and tells by webhook and e-mail when that changes, and what else
// has changed since it last worked.
//
// A ping is a request like any other: package probe sends it with the stored
// session, and no more sign-ins than a caller would cause. What is due, and who
// pings it, is in the store, under a lease, so of several relays that share one,
// one pings. A change and the notices of it are written together, and notices
// are delivered from there, again under a lease: none is lost by a restart, and
// none is sent by two relays.
//
// Package cli runs a Watch; api and web ask it. It holds no connection's
// settings, and changes none.
package health
