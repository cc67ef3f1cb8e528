// Command sallyport-relay is the cloud side of Sallyport: agents hold their
// tunnels to it, and people and programs use connections through it.
package main

import (
	"os"

	"sallyport/relay/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr, os.LookupEnv))
}
