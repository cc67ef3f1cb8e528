//go:build !windows && !darwin

package egress

// systemSettings are none: on Linux and the BSDs a service has its environment.
// What a desktop keeps for its user's programs is not meant for it.
func systemSettings() (settings, error) { return settings{}, nil }
