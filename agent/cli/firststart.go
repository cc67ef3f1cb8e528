package cli

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"sallyport/agent/config"
	"sallyport/internal/logging"
)

// identity is the one in the data directory. Where there is none yet and the
// environment holds a code, as in a container that starts for the first time,
// the code is exchanged for one. Later starts pass over the code, which is used
// up by then.
func identity(ctx context.Context, c config.Config, w World, log *zap.Logger) (config.Identity, error) {
	id, err := config.LoadIdentity(c.DataDir)
	if !errors.Is(err, config.ErrNotEnrolled) {
		return id, err
	}
	code := ""
	if w.Env != nil {
		code, _ = w.Env("SALLYPORT_CODE")
	}
	if code == "" {
		return id, notEnrolled(err, c.DataDir)
	}
	if id, err = enroll(ctx, c, w, code, false); err != nil {
		return id, err
	}
	log.Info("enrolled", logging.Agent(id.AgentID), zap.String("name", id.AgentName), zap.String("relay", id.Relay))
	return id, nil
}
