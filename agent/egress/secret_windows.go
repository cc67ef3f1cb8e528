package egress

import "io/fs"

// checkSecret has nothing to check: on Windows the mode says nothing about other
// users, and a file takes the access list of its directory.
func checkSecret(string, fs.FileInfo) error { return nil }
