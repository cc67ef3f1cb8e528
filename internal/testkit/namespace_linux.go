package testkit

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// enterNamespace runs do with its thread inside a network namespace. A socket
// stays in the namespace in which it was opened, so what do opens can be used
// outside afterwards.
func enterNamespace(name string, do func() error) error {
	runtime.LockOSThread()
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer here.Close()
	there, err := os.Open("/run/netns/" + name)
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer there.Close()

	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter %s: %w", name, err)
	}
	err = do()
	if back := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); back != nil {
		// The thread stays locked, and so ends with its goroutine instead of
		// carrying other goroutines into the namespace.
		return fmt.Errorf("leave %s: %w", name, back)
	}
	runtime.UnlockOSThread()
	return err
}
