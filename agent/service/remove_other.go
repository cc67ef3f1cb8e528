//go:build !windows

package service

import "os"

func removeRunning(path string) error { return os.Remove(path) }
