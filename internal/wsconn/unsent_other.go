//go:build !linux

package wsconn

import "net"

// unsentQueue could be limited on other systems too, but not by the same name.
type unsentQueue struct{}

func newUnsentQueue(net.Conn) unsentQueue { return unsentQueue{} }

func (unsentQueue) limit(int) {}
