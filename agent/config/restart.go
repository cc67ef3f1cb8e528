package config

import "slices"

// restartKeys are those that a running agent can't take: they say who it is,
// where its state stands, and what it opened when it started.
var restartKeys = []string{"relay", "dataDir", "allowPlaintextRelay",
	"logFile", "logMaxSize", "logMaxFiles", "logMaxAge", "ledgerMaxSize", "ledgerMaxFiles", "ledgerMaxAge", "statusListen"}

// NeedRestart are the keys whose values differ and that only a new run of the
// agent takes.
func NeedRestart(before, after Config) []string {
	return slices.DeleteFunc(Changed(before, after), func(key string) bool { return !slices.Contains(restartKeys, key) })
}

// Keeping is c with the values that other has for the keys.
func (c Config) Keeping(keys []string, other Config) Config {
	for _, key := range keys {
		c.fields()[key].Set(other.fields()[key])
	}
	return c
}

// RelayKeys are those that say how the relay is reached.
var RelayKeys = []string{"caFile", "proxy", "proxyUser", "proxyPasswordFile", "proxyKeytab", "proxyDomain", "proxyCaFile"}
