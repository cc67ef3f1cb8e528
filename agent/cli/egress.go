package cli

import (
	"go.uber.org/zap"

	"sallyport/agent/config"
	"sallyport/agent/egress"
)

// egressFlags are the options of agent.yaml that say how to reach the relay.
// Every command that reaches it has them, and goes out by newEgress.
var egressFlags = []string{"ca-file", "allow-plaintext-relay", "proxy", "proxy-user", "proxy-password-file", "proxy-keytab", "proxy-domain", "proxy-ca-file"}

// newEgress is the way out to the relay that the configuration asks for. log may
// be nil.
func newEgress(c config.Config, w World, log *zap.Logger) (*egress.Egress, error) {
	return egress.New(egress.Options{
		Proxy: c.Proxy, User: c.ProxyUser, PasswordFile: c.ProxyPasswordFile, Keytab: c.ProxyKeytab, Domain: c.ProxyDomain,
		CAFile: c.CAFile, ProxyCAFile: c.ProxyCAFile, Env: w.Env, Log: log,
	})
}
