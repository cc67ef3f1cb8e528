package service

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

func removeRunning(path string) error {
	err := os.Remove(path)
	if !errors.Is(err, windows.ERROR_ACCESS_DENIED) && !errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
		return err
	}
	aside := path + ".removed"
	if err := os.Rename(path, aside); err != nil {
		return err
	}
	name, err := windows.UTF16PtrFromString(aside)
	if err != nil {
		return err
	}
	return windows.MoveFileEx(name, nil, windows.MOVEFILE_DELAY_UNTIL_REBOOT)
}
