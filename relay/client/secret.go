package client

import (
	"encoding/json"
	"errors"
)

// Secret is one secret of a connection. Its value can be written and not be
// read: the zero Secret, which is what reading gives, stands for a value that
// the relay has, and keeps it.
type Secret struct {
	value  *string
	remove bool
}

// Value is a secret that is set to v.
func Value(v string) Secret { return Secret{value: &v} }

// Removed is a secret that is taken away.
func Removed() Secret { return Secret{remove: true} }

// SetSecret gives a secret of the connection a value.
func (c *Connection) SetSecret(name, value string) {
	if c.Secrets == nil {
		c.Secrets = map[string]Secret{}
	}
	c.Secrets[name] = Value(value)
}

// String and GoString keep the value out of logs.
func (s Secret) String() string {
	switch {
	case s.remove:
		return "(removed)"
	case s.value != nil:
		return "(a new value)"
	}
	return "(set)"
}

func (s Secret) GoString() string { return "client.Secret" + s.String() }

// MarshalJSON writes a string to set it, null to remove it, {"set":true} to
// keep it.
func (s Secret) MarshalJSON() ([]byte, error) {
	switch {
	case s.remove:
		return []byte("null"), nil
	case s.value != nil:
		return json.Marshal(*s.value)
	}
	return []byte(`{"set":true}`), nil
}

// UnmarshalJSON reads any of the three. Its error quotes nothing.
func (s *Secret) UnmarshalJSON(text []byte) error {
	*s = Secret{}
	if string(text) == "null" {
		s.remove = true
		return nil
	}
	var value string
	if json.Unmarshal(text, &value) == nil {
		s.value = &value
		return nil
	}
	var kept struct {
		Set bool `json:"set"`
	}
	if json.Unmarshal(text, &kept) != nil || !kept.Set {
		return errors.New(`a secret is a string, null, or {"set": true}`)
	}
	return nil
}
