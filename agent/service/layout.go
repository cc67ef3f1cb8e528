package service

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// Layout is what one installed agent is called, and where its parts lie.
type Layout struct {
	Instance   string // "": the only one, or the first
	Service    string // the manager's name for it
	Title      string // for people
	Account    string // whom it runs as
	Binary     string // where the program is put, unless a package has put it elsewhere
	ConfigDir  string // agent.yaml and the files that it names
	DataDir    string // identity and state
	Definition string // the file that describes the service to its manager; "" where that is no file
}

// Config is the path of agent.yaml.
func (l Layout) Config() string {
	// Not filepath.Join: a layout may be that of another system.
	separator := "/"
	if strings.Contains(l.ConfigDir, `\`) {
		separator = `\`
	}
	return l.ConfigDir + separator + "agent.yaml"
}

// Args are the program's arguments when the manager starts it. No secret is
// one: every user of the machine can read them.
func (l Layout) Args() []string { return []string{"run", "--config", l.Config(), "--data", l.DataDir} }

// Flag is how a command line names this agent, with a space before it.
func (l Layout) Flag() string {
	if l.Instance == "" {
		return ""
	}
	return " --instance " + l.Instance
}

// instanceName keeps within what every system takes in the names that are made
// of it: 32 bytes for a user on Linux, of which "sallyport-agent-" has 16.
var instanceName = regexp.MustCompile(`^[a-z][a-z0-9]{0,15}$`)

// CheckInstance reports whether a name can be that of an instance.
func CheckInstance(name string) error {
	if name == "" || instanceName.MatchString(name) {
		return nil
	}
	return fmt.Errorf("--instance %q: up to 16 small letters and digits, a letter first, such as plant2", name)
}

// LayoutOn is the layout of an instance on an operating system, named as Go
// names it. Each instance has an account and directories of its own, so that
// none can read another's key. env tells where Windows keeps programs and data.
func LayoutOn(system, instance string, env func(string) string) (Layout, error) {
	if err := CheckInstance(instance); err != nil {
		return Layout{}, err
	}
	dash, suffix := "", ""
	if instance != "" {
		dash, suffix = "-"+instance, " ("+instance+")"
	}
	l := Layout{Instance: instance, Title: title + suffix}
	switch system {
	case "linux":
		l.Service = programName + ".service"
		if instance != "" {
			l.Service = programName + "@" + instance + ".service"
		}
		l.Account = programName + dash
		l.Binary = "/usr/local/bin/" + programName
		l.ConfigDir, l.DataDir = "/etc/"+programName+dash, "/var/lib/"+programName+dash
		l.Definition = "/etc/systemd/system/" + l.Service
	case "darwin":
		l.Service = programName + dash
		l.Account = "_" + programName + dash // service accounts begin so there
		l.Binary = "/usr/local/bin/" + programName
		l.ConfigDir = "/Library/Application Support/Sallyport/agent" + dash
		l.DataDir = l.ConfigDir + "/data"
		l.Definition = "/Library/LaunchDaemons/" + l.Service + ".plist"
	case "windows":
		programs, data := env("ProgramFiles"), env("ProgramData")
		if programs == "" || data == "" {
			return Layout{}, fmt.Errorf("the variables ProgramFiles and ProgramData are not set: run this in a usual administrator's shell")
		}
		l.Service = programName + dash
		l.Account = `NT SERVICE\` + l.Service // a virtual account: Windows makes it with the service
		l.Binary = programs + `\Sallyport\` + programName + ".exe"
		l.ConfigDir = data + `\Sallyport\agent` + dash
		l.DataDir = l.ConfigDir + `\data`
	default:
		return Layout{}, fmt.Errorf("no service manager of %s is known: keep `%s run --data DIR` running with the system's own tools", system, programName)
	}
	return l, nil
}

// packaged are directories whose programs belong to packages, or were put
// there on purpose: a program in one of them is registered where it is.
var packaged = []string{"/usr/bin", "/usr/sbin", "/bin", "/opt", "/usr/lib", "/usr/libexec", "/nix", "/opt/homebrew"}

// InPlace reports whether the program at path is to be registered where it is,
// and never copied or removed.
func (l Layout) InPlace(path string) bool {
	for _, dir := range packaged {
		if strings.HasPrefix(filepath.ToSlash(path), dir+"/") {
			return true
		}
	}
	return false
}
