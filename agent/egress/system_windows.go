package egress

import (
	"errors"
	"fmt"

	"golang.org/x/sys/windows/registry"
)

const internetSettingsKey = `Software\Microsoft\Windows\CurrentVersion\Internet Settings`

// systemSettings are those of the account that the agent runs as, or of the
// machine where a policy says so; where these name no proxy, those of WinHTTP,
// which is what `netsh winhttp set proxy` sets for services.
func systemSettings() (settings, error) {
	root := registry.CURRENT_USER
	if perUser, err := readNumber(registry.LOCAL_MACHINE, `Software\Policies\Microsoft\Windows\CurrentVersion\Internet Settings`, "ProxySettingsPerUser"); err == nil && perUser == 0 {
		root = registry.LOCAL_MACHINE
	}
	values, err := readInternetSettings(root)
	if err != nil {
		return settings{}, err
	}
	own := values.settings("Windows proxy settings")
	if len(own.proxies) > 0 {
		return own, nil
	}
	raw, err := readBinary(registry.LOCAL_MACHINE, internetSettingsKey+`\Connections`, "WinHttpSettings")
	if err != nil || raw == nil {
		return own, err
	}
	services, err := parseConnection(raw)
	if err != nil {
		return own, fmt.Errorf("WinHttpSettings: %w", err)
	}
	return own.orElse(services.settings("WinHTTP proxy settings")), nil
}

func readInternetSettings(root registry.Key) (internetSettings, error) {
	key, err := registry.OpenKey(root, internetSettingsKey, registry.QUERY_VALUE)
	if errors.Is(err, registry.ErrNotExist) {
		return internetSettings{}, nil
	}
	if err != nil {
		return internetSettings{}, err
	}
	defer key.Close()
	enabled, _, err := key.GetIntegerValue("ProxyEnable")
	if err != nil && !errors.Is(err, registry.ErrNotExist) {
		return internetSettings{}, fmt.Errorf("ProxyEnable: %w", err)
	}
	v := internetSettings{enabled: enabled != 0}
	for name, text := range map[string]*string{"ProxyServer": &v.server, "ProxyOverride": &v.override, "AutoConfigURL": &v.pac} {
		if *text, _, err = key.GetStringValue(name); err != nil && !errors.Is(err, registry.ErrNotExist) {
			return internetSettings{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	raw, err := readBinary(root, internetSettingsKey+`\Connections`, "DefaultConnectionSettings")
	if connection, parseErr := parseConnection(raw); err == nil && parseErr == nil {
		v.detect = connection.detect // nothing else of it is not above
	}
	return v, nil
}

// readBinary reads a binary value, nil where there is none.
func readBinary(root registry.Key, path, name string) ([]byte, error) {
	key, err := registry.OpenKey(root, path, registry.QUERY_VALUE)
	if errors.Is(err, registry.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer key.Close()
	raw, _, err := key.GetBinaryValue(name)
	if errors.Is(err, registry.ErrNotExist) {
		return nil, nil
	}
	return raw, err
}

func readNumber(root registry.Key, path, name string) (uint64, error) {
	key, err := registry.OpenKey(root, path, registry.QUERY_VALUE)
	if err != nil {
		return 0, err
	}
	defer key.Close()
	n, _, err := key.GetIntegerValue(name)
	return n, err
}
