package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// Sources is where values come from.
type Sources struct {
	// Flags are the values of the flags that were given, by key.
	Flags map[string]string
	// Env looks up an environment variable, as os.LookupEnv does.
	Env func(name string) (string, bool)
	// File is the path of the YAML file; empty for none.
	File string
	// Only, where given, are the keys that matter to the caller: the others
	// are not read, and what does not go together is not looked for.
	Only []string
}

// Load reads every option from the highest source that names it, checks them
// together, and reports every faulty one at once.
func Load(from Sources) (*Config, error) {
	table := Table()
	inFile := map[string]fileValue{}
	if from.File != "" {
		body, err := os.ReadFile(from.File)
		if err != nil {
			return nil, fmt.Errorf("config file: %w", err)
		}
		if inFile, err = parseFile(from.File, body, table); err != nil {
			return nil, err
		}
	}
	var c Config
	var faults []error
	for _, o := range table {
		if from.Only != nil && !slices.Contains(from.Only, o.Key) {
			continue
		}
		value, origin := o.Default, "default of "+o.Key
		if v, ok := inFile[o.Key]; ok {
			value, origin = v.text, fmt.Sprintf("%s:%d: %s", from.File, v.line, o.Key)
		}
		if v, ok := from.Env(o.Env()); ok {
			value, origin = v, o.Env()
		}
		if v, ok := from.Flags[o.Key]; ok && !o.EnvOnly {
			value, origin = v, "--"+o.Key
		}
		if err := o.set(&c, value); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", origin, err))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	c.follow()
	if from.Only == nil {
		if err := c.check(); err != nil {
			return nil, err
		}
	}
	return &c, nil
}
