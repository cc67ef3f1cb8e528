package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Setting is a key with the value that applies, and where it comes from.
type Setting struct {
	Key  string
	From string // "--proxy", "SALLYPORT_PROXY", "agent.yaml:12" with its path, or "default"
	YAML string // key and value as a file has them, secrets masked; ends with a line break
}

// Masked stands in place of a secret.
const Masked = "***"

// Masker is a section that may hold secrets: it shows what takes its place.
type Masker interface{ Masked() any }

// Explain is Load for people: every key, and who set it.
func Explain(s Sources) ([]Setting, error) {
	c, from, err := s.load()
	if err != nil {
		return nil, err
	}
	out := c.settings()
	for i := range out {
		if out[i].From = from[out[i].Key]; out[i].From == "" {
			out[i].From = "default"
		}
	}
	return out, nil
}

// Version is short, and the same for configurations that show the same: it
// tells nothing of the secrets in them.
func (c Config) Version() string {
	digest := sha256.New()
	for _, s := range c.settings() {
		digest.Write([]byte(s.YAML))
	}
	return hex.EncodeToString(digest.Sum(nil)[:4])
}

// Changed are the keys whose values differ, in the order of the file.
func Changed(before, after Config) []string {
	old, now := before.fields(), after.fields()
	var keys []string
	for _, key := range namesOf(reflect.ValueOf(after)) {
		if !reflect.DeepEqual(old[key].Interface(), now[key].Interface()) {
			keys = append(keys, key)
		}
	}
	return keys
}

func (c Config) settings() []Setting {
	var out []Setting
	for _, key := range namesOf(reflect.ValueOf(c)) {
		value := c.fields()[key].Interface()
		if m, ok := value.(Masker); ok {
			value = m.Masked()
		}
		if slices.Contains([]string{"proxy", "targetProxy"}, key) {
			value = maskURL(fmt.Sprint(value))
		}
		text, err := yaml.Marshal(map[string]any{key: value})
		if err != nil { // text, booleans and lists of them: it can't
			text = []byte(key + ": # " + err.Error() + "\n")
		}
		out = append(out, Setting{Key: key, YAML: string(text)})
	}
	return out
}

// maskURL hides the password of a URL, whether or not it has a scheme.
func maskURL(text string) string {
	login, host, found := cutLast(text, "@")
	if !found {
		return text
	}
	scheme, user, found := strings.Cut(login, "://")
	if !found {
		scheme, user = "", login
	} else {
		scheme += "://"
	}
	if name, _, has := strings.Cut(user, ":"); has {
		user = name + ":" + Masked
	} else if _, err := url.Parse(text); err != nil {
		user = Masked
	}
	return scheme + user + "@" + host
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
