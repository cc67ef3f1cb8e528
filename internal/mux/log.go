package mux

import (
	"fmt"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// zapLogger gives yamux's own messages to zap. They concern single frames; what
// becomes of a tunnel is logged by its owner. So a warning, such as a late
// frame of a request that was cancelled, is for debugging only.
type zapLogger struct{ log *zap.Logger }

func (z zapLogger) Print(v ...any)                 { z.write(fmt.Sprint(v...)) }
func (z zapLogger) Println(v ...any)               { z.write(fmt.Sprintln(v...)) }
func (z zapLogger) Printf(format string, v ...any) { z.write(fmt.Sprintf(format, v...)) }

func (z zapLogger) write(text string) {
	level := zapcore.DebugLevel
	if strings.HasPrefix(text, "[ERR]") {
		level = zapcore.InfoLevel
	}
	if ce := z.log.Check(level, "yamux"); ce != nil {
		text = strings.TrimSpace(text)
		if _, rest, found := strings.Cut(text, "yamux: "); found {
			text = rest
		}
		ce.Write(zap.String("text", text))
	}
}
