//go:build !linux

package testkit

import "errors"

func enterNamespace(string, func() error) error {
	return errors.New("network namespaces exist on Linux only")
}
