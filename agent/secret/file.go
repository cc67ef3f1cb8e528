package secret

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"sallyport/proto"
)

// fromFile reads a secret from a file that nobody else can read. The line break
// that editors put at the end is no part of it.
func fromFile(name, path string) (string, *proto.Error) {
	text, err := readPrivate(path)
	var exposed *exposedError
	switch {
	case err == nil:
		return withoutLineBreak(text), nil
	case errors.As(err, &exposed):
		return "", unavailable(name, proto.ReasonSecretExposed, err,
			fmt.Sprintf("The file of the secret %q can be read by other users of the agent's machine: %s has the mode %04o.", name, path, exposed.mode),
			fmt.Sprintf("On the agent's machine run `chmod 600 %s`, as its owner; if others may have read it, change the password.", path),
			"file", path, "mode", fmt.Sprintf("%04o", exposed.mode))
	case errors.Is(err, fs.ErrNotExist):
		return "", unavailable(name, proto.ReasonSecretFile, err,
			fmt.Sprintf("The file of the secret %q does not exist on the agent's machine: %s.", name, path),
			"Create it, owned by the agent's user and readable by nobody else (mode 0600), or correct its path in agent.yaml.", "file", path)
	case errors.Is(err, fs.ErrPermission):
		return "", unavailable(name, proto.ReasonSecretFile, err,
			fmt.Sprintf("The agent may not read the file of the secret %q: %s.", name, path),
			fmt.Sprintf("Make the agent's user its owner: on Linux, `chown sallyport %s && chmod 600 %s`.", path, path), "file", path)
	}
	return "", unavailable(name, proto.ReasonSecretFile, err,
		fmt.Sprintf("The file of the secret %q can't be read on the agent's machine: %v.", name, err),
		"Check the file and its path in agent.yaml.", "file", path)
}

// exposedError is a file that others can read.
type exposedError struct {
	path string
	mode fs.FileMode
}

func (e *exposedError) Error() string {
	return fmt.Sprintf("%s can be read by other users of this machine (mode %04o): run `chmod 600 %s`", e.path, e.mode, e.path)
}

// readPrivate reads a short file that nobody else can read. Its errors are fit
// to be shown.
func readPrivate(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() { // a pipe would make us wait
		return "", fmt.Errorf("%s is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return "", err
	}
	if err := checkPrivate(path, info); err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxValue+2)) // with its line break; one too many is noticed
	return string(text), err
}

// withoutLineBreak takes one line break off the end. Blanks may be part of a
// password.
func withoutLineBreak(text string) string {
	return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
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
