package proto

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// FollowLogs asks the agent for what it logs from now on, down the tunnel on
// which it was asked; with no level it asks for no more. An agent whose site has
// not allowed it (remoteLogs) answers LogLines with Off.
type FollowLogs struct {
	Level string `json:"level,omitempty"` // the least: debug, info, warn or error
}

// LogLines are lines of the agent's log, oldest first.
type LogLines struct {
	Lines []LogLine `json:"lines,omitempty"`
	// Dropped is how many lines were lost before these: what is logged faster
	// than it may travel is not kept.
	Dropped int  `json:"dropped,omitempty"`
	Off     bool `json:"off,omitempty"` // the site does not share its log
}

// LogLine is one line.
type LogLine struct {
	Time    time.Time       `json:"time"`
	Level   string          `json:"level"`
	Logger  string          `json:"logger,omitempty"`
	Message string          `json:"msg"`
	Fields  json.RawMessage `json:"fields,omitempty"` // an object
}

// Bounds of a LogLine, in bytes.
const (
	MaxLogMessage = 1024
	MaxLogFields  = 4096
)

func (*FollowLogs) controlKind() string { return "followLogs" }
func (*LogLines) controlKind() string   { return "logLines" }

func (f *FollowLogs) validate() error {
	if f.Level == "" {
		return nil
	}
	return checkLevel(f.Level)
}

func (l *LogLines) validate() error {
	if l.Dropped < 0 {
		return fmt.Errorf("dropped %d is negative", l.Dropped)
	}
	for _, line := range l.Lines {
		if err := line.validate(); err != nil {
			return err
		}
	}
	return nil
}

func (l *LogLine) validate() error {
	if err := checkLevel(l.Level); err != nil {
		return err
	}
	if len(l.Logger) > 64 || len(l.Message) > MaxLogMessage || len(l.Fields) > MaxLogFields {
		return errors.New("a line is too long")
	}
	if len(l.Fields) > 0 && l.Fields[0] != '{' {
		return errors.New("fields are not an object")
	}
	return nil
}

func checkLevel(level string) error {
	switch level {
	case "debug", "info", "warn", "error":
		return nil
	}
	return fmt.Errorf("level %.20q is none of debug, info, warn and error", level)
}
