// Command sallyport-agent is installed behind a firewall. It holds tunnels out
// to a relay, and performs the requests that come down them.
package main

import (
	"os"

	"sallyport/agent/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.World{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.LookupEnv}))
}
