package cli

import (
	"fmt"
	"strings"

	"go.uber.org/zap"

	"sallyport/agent/control"
	"sallyport/agent/secret"
)

// warnOfSecrets says in the log which secrets the relay could have sent
// anywhere.
func (a *agent) warnOfSecrets() {
	if warning := secretStatus(a.secrets).Warning; warning != "" {
		a.log.Warn("secrets may be sent anywhere", zap.String("meaning", warning))
	}
}

// secretStatus is what status says of the secrets: never more than names.
func secretStatus(store *secret.Store) *control.Secrets {
	s := &control.Secrets{Names: append([]string{}, store.Names()...)}
	if open := store.Unrestricted(); len(open) > 0 {
		s.Warning = fmt.Sprintf("The relay may have %s sent to any host that the policy allows: name the right ones with hosts: in agent.yaml.", secretList(open))
	}
	return s
}

func secretList(names []string) string {
	const most = 5
	if len(names) == 1 {
		return "the secret " + names[0]
	}
	if len(names) > most {
		return fmt.Sprintf("the secrets %s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return "the secrets " + strings.Join(names, ", ")
}
