package connection

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of what connections that are kept as code are known by.
const (
	MaxKey       = 64  // bytes
	MaxManagedBy = 100 // characters
)

// defaultsAsCode tidies up key and mark of a connection that is kept as code.
func defaultsAsCode(s *Spec) {
	s.Key = strings.TrimSpace(s.Key)
	s.ManagedBy = strings.TrimSpace(s.ManagedBy)
}

// checkAsCode checks them. That no other connection has the key is for the
// registry to see.
func checkAsCode(f *faults, s Spec) {
	if fault := keyFault(s.Key); fault != "" {
		f.add("key", "%s", fault)
	}
	switch n := utf8.RuneCountInString(s.ManagedBy); {
	case !utf8.ValidString(s.ManagedBy) || strings.ContainsFunc(s.ManagedBy, unicode.IsControl):
		f.add("managedBy", "The mark can't hold line breaks or other control characters; remove them.")
	case n > MaxManagedBy:
		f.add("managedBy", "The mark has %d characters; at most %d are allowed.", n, MaxManagedBy)
	}
}

func keyFault(key string) string {
	switch {
	case key == "":
		return ""
	case len(key) > MaxKey:
		return "A key has at most 64 characters."
	case strings.ContainsFunc(key, func(r rune) bool { return !isKeyRune(r) }):
		return "A key is made of letters a to z, digits, “.”, “_” and “-”, such as plant2-erp."
	case !isKeyStart(rune(key[0])):
		return "A key begins with a letter or a digit."
	}
	return ""
}

func isKeyStart(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

func isKeyRune(r rune) bool { return isKeyStart(r) || r == '.' || r == '_' || r == '-' }
