// Command sites is thousands of agents in one process, for the tests beside
// it: real links, the real forwarder, each agent with its own identity and its
// usual two tunnels. A relay's memory can then be read by itself.
//
// It serves, on a loopback address that it prints, what it has seen (see
// Report), and a small application that the agents can be asked to reach.
package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"sallyport/agent/egress"
	"sallyport/agent/forward"
	"sallyport/agent/link"
	"sallyport/internal/outbound"
)

// Site is one identity in the file that is given.
type Site struct {
	AgentID, InstanceID string
	Seed                []byte // of the Ed25519 key
}

func main() {
	relay := flag.String("relay", "", "URL of the relay")
	file := flag.String("identities", "", "JSON file of the sites")
	single := flag.Int("single", 0, "how many agents have one tunnel instead of two")
	ca := flag.String("ca-file", "", "PEM file of the authority to trust")
	flag.Parse()
	if err := run(*relay, *file, *single, *ca); err != nil {
		fmt.Fprintln(os.Stderr, "sites:", err)
		os.Exit(1)
	}
}

func run(relay, file string, single int, ca string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	u, err := url.Parse(relay)
	if err != nil {
		return err
	}
	sites, err := read(file)
	if err != nil {
		return err
	}
	exit, err := egress.New(egress.Options{Proxy: egress.ProxyNone, CAFile: ca})
	if err != nil {
		return err
	}
	transport := outbound.New(outbound.Options{})
	defer transport.Close()
	serve := forward.New(forward.Options{Transport: transport}).Serve
	seen := newObserver()
	links, tunnels := make([]*link.Link, len(sites)), make([]int, len(sites))
	for i, s := range sites {
		tunnels[i] = 2
		if i < single {
			tunnels[i] = 1
		}
		links[i] = link.New(link.Options{
			Relay: u, Identity: link.Identity{AgentID: s.AgentID, InstanceID: s.InstanceID, Key: ed25519.NewKeyFromSeed(s.Seed)},
			Machine: link.Machine{Hostname: fmt.Sprintf("site-%05d", i), OS: "linux", Arch: "amd64", Version: "1.0.0"},
			Serve:   serve, Log: seen.logger(), Tunnels: tunnels[i], Egress: exit,
			// Asking the system costs more than all else, for twenty thousand tunnels at once.
			Addresses: func() ([]net.Addr, error) { return nil, nil },
		})
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler(seen, links, tunnels), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with Close
	defer server.Close()
	fmt.Println("listening on", listener.Addr())

	var running sync.WaitGroup
	defer running.Wait()
	for _, l := range links {
		running.Go(func() {
			if err := l.Run(ctx); err != nil {
				fmt.Fprintln(os.Stderr, "sites:", err)
			}
		})
	}
	<-ctx.Done()
	return nil
}

func read(file string) ([]Site, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var sites []Site
	return sites, json.Unmarshal(raw, &sites)
}
