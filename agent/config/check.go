package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport/agent/egress"
	"sallyport/internal/logging"
	"sallyport/internal/nearest"
)

// checkValue says what may stand at a key, where something else does. It looks
// at the value alone: whether a file exists shows when it is read.
func checkValue(key, value string) error {
	switch key {
	case "relay":
		if value == "" {
			return nil
		}
		_, err := ParseRelay(value)
		return err
	case "proxy":
		return checkProxy(value, "system", "environment", "none")
	case "targetProxy":
		if err := checkProxy(value, "environment", "none"); err != nil {
			return err
		}
		_, err := proxyFunc(value)
		return err
	case "maxRequestBody":
		_, err := parseSize(value)
		return err
	case "logLevel":
		_, err := logging.ParseLevel(value)
		return err
	case "logFile":
		_, err := Config{LogFile: value}.LogPath(false)
		return err
	case "logMaxSize", "ledgerMaxSize":
		_, err := limitSize(value)
		return err
	case "logMaxFiles", "ledgerMaxFiles":
		_, err := limitFiles(value)
		return err
	case "logMaxAge", "ledgerMaxAge":
		_, err := limitAge(value)
		return err
	case "statusListen":
		_, err := Config{StatusListen: value}.StatusAddress()
		return err
	case "logFormat":
		return oneOf(strings.ToLower(value), "", "json", "console")
	}
	return nil
}

// oneOf names the choices, the empty one aside.
func oneOf(value string, choices ...string) error {
	if slices.Contains(choices, value) {
		return nil
	}
	choices = slices.DeleteFunc(slices.Clone(choices), func(c string) bool { return c == "" })
	last := len(choices) - 1
	return fmt.Errorf("%q: choose %s or %s", shown(value), strings.Join(choices[:last], ", "), choices[last])
}

// checkProxy never quotes a value that is a URL: it may hold a password.
func checkProxy(value string, words ...string) error {
	if value == "" || slices.Contains(words, value) {
		return nil
	}
	if likely := nearest.Of(value, words...); nearest.Distance(strings.ToLower(value), likely) <= 2 {
		return fmt.Errorf("%q: did you mean %q?", value, likely)
	}
	if _, err := egress.ParseProxy(value); err != nil {
		return errors.New(`expected "` + strings.Join(words, `", "`) + `" or a URL that begins with http://, https:// or socks5://`)
	}
	return nil
}
