package testkit

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Ports for programs that have to be told one lie below those that Linux gives out
// by itself (32768 and up, ip_local_port_range): between our choice and the
// program's listening, which may take seconds, any other test's listener or
// outgoing connection could get such a one.
const (
	firstPort = 10000
	lastPort  = 32767
)

var ports struct {
	sync.Mutex
	given map[int]bool
}

// FreePort returns a TCP port of 127.0.0.1 that was free a moment ago, and that
// this process has given to nobody else.
func FreePort(t testing.TB) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if ports.given[port] {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		l.Close()
		if ports.given == nil {
			ports.given = map[int]bool{}
		}
		ports.given[port] = true
		return port
	}
	t.Fatal("no port of 127.0.0.1 is free")
	return 0
}
