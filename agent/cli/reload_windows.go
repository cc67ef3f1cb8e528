package cli

import "os"

// reloadSignals are none: Windows has no such signal.
func reloadSignals() (signals <-chan os.Signal, forget func()) { return nil, func() {} }
