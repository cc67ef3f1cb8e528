//go:build unix

package outbound

import "syscall"

var (
	errnoRefused = []syscall.Errno{syscall.ECONNREFUSED}
	// EPERM and EACCES: a firewall on this very machine.
	errnoNoRoute   = []syscall.Errno{syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EHOSTDOWN, syscall.ENETDOWN, syscall.EADDRNOTAVAIL, syscall.EPERM, syscall.EACCES}
	errnoExhausted = []syscall.Errno{syscall.EMFILE, syscall.ENFILE}
	errnoReset     = []syscall.Errno{syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE}
)
