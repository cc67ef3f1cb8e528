//go:build unix

package secret

import (
	"fmt"
	"os/user"
)

// toBeReadable says how a file becomes readable for the agent, and for nobody
// else.
func toBeReadable(path string) string {
	name := "USER"
	whose := "the user that the agent runs as"
	if me, err := user.Current(); err == nil {
		name, whose = me.Username, me.Username+", as which the agent runs,"
	}
	return fmt.Sprintf("Make %s its owner: `chown %s %s && chmod 600 %s`. Its directory has to be open to that user, too.", whose, name, path, path)
}
