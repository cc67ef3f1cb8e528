package testkit

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// alarm sleeps to within a tenth of a millisecond. time.Sleep can be late by
// more than one, since the runtime waits for sockets and timers together and
// the kernel's epoll counts in milliseconds; a timer of the kernel's is a file
// that becomes readable on time. The zero value is ready; close it.
type alarm struct{ timer *os.File }

func (a *alarm) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	if a.timer == nil {
		fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
		if err != nil {
			time.Sleep(d)
			return
		}
		a.timer = os.NewFile(uintptr(fd), "timerfd")
	}
	raw, err := a.timer.SyscallConn()
	if err != nil {
		time.Sleep(d)
		return
	}
	var setErr error
	err = raw.Control(func(fd uintptr) {
		setErr = unix.TimerfdSettime(int(fd), 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(d.Nanoseconds())}, nil)
	})
	var expirations [8]byte
	if err == nil && setErr == nil {
		_, err = a.timer.Read(expirations[:])
	}
	if err != nil || setErr != nil {
		time.Sleep(d)
	}
}

func (a *alarm) close() {
	if a.timer != nil {
		_ = a.timer.Close()
	}
}
