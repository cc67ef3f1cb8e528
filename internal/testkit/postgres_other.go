//go:build !linux

package testkit

import "syscall"

// postgresUser leaves the server to run as the test does.
func postgresUser() (attributes *syscall.SysProcAttr, uid, gid int, err error) {
	return nil, -1, -1, nil
}
