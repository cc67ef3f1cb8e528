// Package secret holds the secrets of the agent's site that never leave it. A
// site's admin names them in agent.yaml, each with where its value comes from: a
// file, the environment, a command, or HashiCorp Vault. A connection uses one as
// {{agent.secret.NAME}}; the relay never has the value.
//
// # How one gets into a request
//
// The relay writes a mark, made at random for that request, where the connection
// has the placeholder, and says in proto.HeaderFill which marks there are, in
// which place each of them stands, and how to escape there. Store.Wrap, which
// stands between the policy and what sends requests, replaces the marks in those
// places and nowhere else. What a caller of the relay or an application writes
// can't know the marks, so it is never filled in.
//
// The secrets' own hosts are checked for every request, redirects included, for
// the relay is not trusted with where a secret is sent.
//
// # How one does not get out
//
// Values are in this package's memory and in the request that is sent; never in
// a log, an error or the ledger. Answers that are for the relay itself
// (proto.HeaderMask: a sign-in, a ping) are searched for the values in their
// usual encodings, and these are replaced by "***"; a cookie with one is not
// passed on at all. What an application answers to a caller's own request is
// between these two, and streams through untouched.
//
// The package knows nothing of the other rooms; package cli puts them together.
package secret
