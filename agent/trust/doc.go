// Package trust is what the agent trusts of applications' certificates beyond
// the authorities: pins, each the fingerprint of the one certificate that a host
// and port may show (pins.go), and the client certificates that it shows itself
// (client.go). Look (look.go) gets a host's certificate for a person to judge.
//
// A pin is the SHA-256 of the whole certificate, which browsers and openssl show
// as its fingerprint, so that it can be compared on the application's own
// machine. It stands in place of the usual checks: neither issuer nor names nor
// dates count any more, only that it is this very certificate. A renewed one
// has to be trusted anew.
//
// There is no way to switch the checks off. Package cli has the command; package
// internal/outbound applies what Hosts says.
package trust
