// Command vaultserver is HashiCorp Vault for the end-to-end tests: its own core,
// HTTP API, key-value engine and AppRole, in memory, sealed until a test
// initialises it. What Vault's own program has beside these is left out, and with
// it hundreds of modules. It is a module of its own, so that nothing of it is among
// those of Sallyport; `make vault` builds it.
package main

import (
	"flag"
	"log"
	"net"
	"net/http"

	"github.com/hashicorp/go-hclog"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/builtin/credential/approle"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

func main() {
	address := flag.String("listen", "127.0.0.1:0", "where to listen")
	cert := flag.String("cert", "", "the certificate's `file`")
	key := flag.String("key", "", "its key's `file`")
	flag.Parse()
	if err := run(*address, *cert, *key); err != nil {
		log.Fatal(err)
	}
}

func run(address, cert, key string) error {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Warn})
	memory, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return err
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical: memory, DisableMlock: true, Logger: logger,
		LogicalBackends:    map[string]logical.Factory{"kv": kv.Factory},
		CredentialBackends: map[string]logical.Factory{"approle": approle.Factory},
		BuiltinRegistry:    noPlugins{},
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return http.ServeTLS(listener, vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core}), cert, key)
}

// noPlugins is the registry of further engines that come with Vault's program:
// those above are all that there are here.
type noPlugins struct{}

func (noPlugins) Contains(string, consts.PluginType) bool { return false }
func (noPlugins) Keys(consts.PluginType) []string         { return nil }

func (noPlugins) Get(string, consts.PluginType) (func() (any, error), bool) { return nil, false }

func (noPlugins) DeprecationStatus(string, consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, false
}
