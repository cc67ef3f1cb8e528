// Package logging makes the zap logger that both binaries log with. The logger
// is passed to whoever logs; there is no global one.
//
// Messages are lower-case constants with fields. The package gives the names of
// those fields that occur in many rooms, so that one search finds a request on
// relay and agent alike. It never sees, and nobody may pass it, a secret, a
// cookie, a token, a body, or a query string.
package logging

import (
	"fmt"
	"io"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Options say how to log.
type Options struct {
	Format string    // "json" (default) or "console"
	Level  string    // "debug", "info" (default), "warn" or "error"
	Output io.Writer // written to by one goroutine at a time; required
}

// New makes a logger. The level may be changed while it is in use. The error
// names the option that is wrong and what it may be.
func New(o Options) (*zap.Logger, zap.AtomicLevel, error) {
	log, dial, err := NewAdjustable(o)
	if err != nil {
		return nil, zap.AtomicLevel{}, err
	}
	return log, dial.level, nil
}

// ParseLevel reads a level's name; the empty name is info.
func ParseLevel(name string) (zapcore.Level, error) {
	switch strings.ToLower(name) {
	case "debug":
		return zapcore.DebugLevel, nil
	case "", "info":
		return zapcore.InfoLevel, nil
	case "warn":
		return zapcore.WarnLevel, nil
	case "error":
		return zapcore.ErrorLevel, nil
	}
	return 0, fmt.Errorf("log level %q: choose debug, info, warn or error", name)
}

// parseFormat reads a format's name, and says whether it is the one for people.
func parseFormat(name string) (console bool, err error) {
	switch strings.ToLower(name) {
	case "", "json":
		return false, nil
	case "console":
		return true, nil
	}
	return false, fmt.Errorf("log format %q: choose json or console", name)
}

// NewFieldsEncoder encodes the fields of a line alone, as one JSON object, for
// who has the rest of the line already.
func NewFieldsEncoder() zapcore.Encoder {
	return zapcore.NewJSONEncoder(zapcore.EncoderConfig{EncodeTime: encodeTime, EncodeDuration: encodeMillis})
}

func newEncoder(console bool) zapcore.Encoder {
	c := zapcore.EncoderConfig{
		TimeKey: "time", LevelKey: "level", NameKey: "logger", MessageKey: "msg", StacktraceKey: "stack",
		EncodeTime:     encodeTime,
		EncodeLevel:    zapcore.LowercaseLevelEncoder,
		EncodeDuration: encodeMillis,
		EncodeName:     zapcore.FullNameEncoder,
	}
	if !console {
		return zapcore.NewJSONEncoder(c)
	}
	c.EncodeLevel = zapcore.CapitalLevelEncoder
	c.EncodeDuration = zapcore.StringDurationEncoder
	c.ConsoleSeparator = "  "
	return zapcore.NewConsoleEncoder(c)
}

// timeLayout is that of the field "time".
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// encodeTime writes UTC with milliseconds, so that lines of relay and agent
// sort together wherever the machines stand.
func encodeTime(t time.Time, enc zapcore.PrimitiveArrayEncoder) {
	enc.AppendString(t.UTC().Format(timeLayout))
}

// encodeMillis writes durations as milliseconds with a fraction; fields that
// hold one end in "_ms" or are named "duration".
func encodeMillis(d time.Duration, enc zapcore.PrimitiveArrayEncoder) {
	enc.AppendFloat64(float64(d.Microseconds()) / 1000)
}

// RequestID is the field that follows one request through relay and agent.
func RequestID(id string) zap.Field { return zap.String("request_id", id) }

// Connection is the field that names the connection a request belongs to.
func Connection(id string) zap.Field { return zap.String("connection", id) }

// Agent is the field that names an agent.
func Agent(id string) zap.Field { return zap.String("agent", id) }

// Instance is the field that names one machine of an agent.
func Instance(id string) zap.Field { return zap.String("instance", id) }
