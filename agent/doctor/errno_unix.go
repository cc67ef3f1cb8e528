//go:build unix

package doctor

import "syscall"

var (
	errnoRefused = []syscall.Errno{syscall.ECONNREFUSED}
	// EPERM and EACCES: a firewall on this very machine.
	errnoNoRoute = []syscall.Errno{syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EHOSTDOWN, syscall.ENETDOWN, syscall.EADDRNOTAVAIL, syscall.EPERM, syscall.EACCES}
	errnoReset   = []syscall.Errno{syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE}
)
