package registry

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"sallyport/relay/connection"
	"sallyport/relay/store"
)

// secretsRow is the associated data of a connection's sealed secrets.
func secretsRow(connectionID string) string { return "connections/" + connectionID + "/secrets" }

// merge applies changes of secrets to those that are kept.
func merge(old map[string]string, changes map[string]*string) map[string]string {
	values := maps.Clone(old)
	if values == nil {
		values = make(map[string]string, len(changes))
	}
	for name, value := range changes {
		if value == nil {
			delete(values, name)
		} else {
			values[name] = *value
		}
	}
	return values
}

// kept opens a row's secrets, unless all of them are about to be replaced or
// removed: that is the way out for whoever has lost the keyset.
func (r *Registry) kept(row store.Connection, changes map[string]*string) (map[string]string, error) {
	values, err := r.open(row)
	if err != nil && !slices.ContainsFunc(row.SecretNames, func(name string) bool { _, given := changes[name]; return !given }) {
		return nil, nil
	}
	return values, err
}

func (r *Registry) open(row store.Connection) (map[string]string, error) {
	values := make(map[string]string)
	if len(row.Secrets) == 0 {
		return values, nil
	}
	plain, err := r.Vault.Open(row.Secrets, secretsRow(row.ID))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(plain, &values); err != nil {
		// The cause may quote what it could not read.
		return nil, fmt.Errorf("secrets of %s are not as they were written", row.ID)
	}
	return values, nil
}

// fill puts spec and secrets into a row, the latter sealed.
func (r *Registry) fill(row *store.Connection, spec connection.Spec, values map[string]string) error {
	text, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("write the connection: %w", err)
	}
	row.Name, row.AgentID, row.Key, row.Spec = spec.Name, spec.AgentID, spec.Key, text
	row.SecretNames, row.Secrets = slices.Sorted(maps.Keys(values)), nil
	if len(values) == 0 {
		return nil
	}
	plain, err := json.Marshal(values)
	if err != nil {
		return fmt.Errorf("write the secrets of connection %s: %w", row.ID, err)
	}
	row.Secrets, err = r.Vault.Seal(plain, secretsRow(row.ID))
	return err
}
