package doctor

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// Windows reports Winsock's own codes, which are not those of package syscall.
var (
	errnoRefused = []syscall.Errno{windows.WSAECONNREFUSED}
	errnoNoRoute = []syscall.Errno{windows.WSAENETUNREACH, windows.WSAEHOSTUNREACH, windows.WSAEHOSTDOWN, windows.WSAENETDOWN, windows.WSAEADDRNOTAVAIL, windows.WSAEACCES}
	errnoReset   = []syscall.Errno{windows.WSAECONNRESET, windows.WSAECONNABORTED}
)
