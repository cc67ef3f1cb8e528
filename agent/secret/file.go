package secret

import (
	"errors"
	"fmt"
	"io/fs"

	"sallyport/agent/private"
	"sallyport/proto"
)

// fromFile reads a secret from a file that nobody else can read. The line break
// that editors put at the end is no part of it.
func fromFile(name, path string) (string, *proto.Error) {
	text, err := private.Read(path, maxValue+1) // with its line break
	var exposed *private.ExposedError
	switch {
	case err == nil:
		return private.WithoutLineBreak(text), nil
	case errors.As(err, &exposed):
		return "", unavailable(name, proto.ReasonSecretExposed, err,
			fmt.Sprintf("The file of the secret %q can be read by other users of the agent's machine: %s has the mode %04o.", name, path, exposed.Mode),
			fmt.Sprintf("On the agent's machine run `chmod 600 %s`, as its owner; if others may have read it, change the password.", path),
			"file", path, "mode", fmt.Sprintf("%04o", exposed.Mode))
	case errors.Is(err, fs.ErrNotExist):
		return "", unavailable(name, proto.ReasonSecretFile, err,
			fmt.Sprintf("The file of the secret %q does not exist on the agent's machine: %s.", name, path),
			"Create it, owned by the agent's user and readable by nobody else (mode 0600), or correct its path in agent.yaml.", "file", path)
	case errors.Is(err, fs.ErrPermission):
		return "", unavailable(name, proto.ReasonSecretFile, err,
			fmt.Sprintf("The agent may not read the file of the secret %q: %s.", name, path),
			toBeReadable(path), "file", path)
	}
	return "", unavailable(name, proto.ReasonSecretFile, err,
		fmt.Sprintf("The file of the secret %q can't be read on the agent's machine: %v.", name, err),
		"Check the file and its path in agent.yaml.", "file", path)
}

// fromVariable takes a secret from the agent's own environment.
func fromVariable(name, variable string, env func(string) (string, bool)) (string, *proto.Error) {
	value, ok := env(variable)
	if !ok {
		return "", unavailable(name, proto.ReasonSecretVariable, nil,
			fmt.Sprintf("The agent's environment has no variable %s, from which the secret %q comes.", variable, name),
			fmt.Sprintf("Set %s for the agent's service and restart it, or correct the name in agent.yaml.", variable), "variable", variable)
	}
	return value, nil
}
