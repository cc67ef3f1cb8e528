//go:build !linux

package wsconn

import "net"

// limitUnsent does nothing: see unsent_linux.go.
func limitUnsent(net.Conn) {}
