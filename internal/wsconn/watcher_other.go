//go:build !linux

package wsconn

import "errors"

// Watcher waits for bytes on connections that rest. On this system it can't: a
// goroutine waits for each.
type Watcher struct{}

func (*Watcher) open() error { return errors.ErrUnsupported }

// Close does nothing.
func (*Watcher) Close() error { return nil }

func (*Watcher) add(*Conn) {}

func (*Watcher) remove(uint64) {}

func (*Watcher) arm(*resting) error { return errors.ErrUnsupported }
