package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/agent/service"
)

// serviceOf is how the service is whose agent has the data directory; nil where
// none has, or its manager does not tell.
func (w World) serviceOf(cmd *cobra.Command, dir string) *service.Status {
	instance := ""
	if flag := cmd.Flags().Lookup("instance"); flag != nil {
		instance = flag.Value.String()
	}
	host, err := w.host(instance)
	if err != nil || host.Layout().DataDir != dir {
		return nil
	}
	status, err := host.Status(cmd.Context())
	if err != nil || status.State == service.NotInstalled {
		return nil
	}
	return &status
}

// serviceText is a service's state in words.
func serviceText(s service.Status) string {
	words := []string{s.Name + " " + strings.ReplaceAll(string(s.State), "_", " ")}
	if s.PID != 0 {
		words = append(words, "process "+strconv.Itoa(s.PID))
	}
	switch {
	case s.Restarts == 1:
		words = append(words, "restarted once by the system")
	case s.Restarts > 1:
		words = append(words, "restarted "+strconv.Itoa(s.Restarts)+" times by the system")
	}
	if !s.AtBoot {
		words = append(words, "does not start with the machine")
	}
	if s.State != service.Running && s.Detail != "" {
		words = append(words, s.Detail)
	}
	return strings.Join(words, ", ")
}
