package cli

import (
	"context"
	"fmt"
	"io"
	stdlog "log"
	"os"
	"path/filepath"
	"runtime"

	"sallyport/agent/config"
	"sallyport/agent/doctor"
	"sallyport/agent/service"
)

// check runs doctor's checks of the way to the relay. What the agent can't do
// without must pass, except where an installed agent is not online anyway: the
// upgrade, or a setting that comes with it, may be what mends it.
func (i *installation) check(ctx context.Context) error {
	stdlog.SetOutput(io.Discard) // net/http prints there what unruly servers send
	o, closeAll := examination(i.sources, i.world)
	defer closeAll()
	if i.before == nil || i.flags.replace {
		o.Config.DataDir = "" // it need not be enrolled yet
	}
	i.say("Checking the way to the relay …")
	report := doctor.Run(ctx, o)
	if ctx.Err() != nil {
		return fmt.Errorf("stopped; %w", errUndone)
	}
	var found doctor.Transcript
	for _, r := range report.Checks {
		aside := r.Name == doctor.CheckEnrolment || r.Name == doctor.CheckAgent
		if !aside && (r.Status == doctor.Fail || r.Status == doctor.Warn) {
			fmt.Fprint(i.world.Out, found.Add(r))
		}
	}
	fmt.Fprint(i.world.Out, found.End())
	if failed := essential(report); failed != "" && (i.before == nil || i.online) {
		return fmt.Errorf("the check %q failed, and %w. For every check: sallyport-agent doctor --relay URL", failed, errUndone)
	}
	return nil
}

// essential is the first check that failed and that the agent can't do without.
func essential(report doctor.Report) string {
	for _, r := range report.Checks {
		if r.Status != doctor.Fail || r.Name == doctor.CheckEnrolment || r.Name == doctor.CheckAgent {
			continue
		}
		// One family of addresses is enough; what comes behind shows it.
		if r.Name == doctor.CheckTCP4 || r.Name == doctor.CheckTCP6 {
			if _, reached := passed(report, doctor.CheckHTTP); reached {
				continue
			}
		}
		return r.Name
	}
	return ""
}

func passed(report doctor.Report, name string) (doctor.Result, bool) {
	for _, r := range report.Checks {
		if r.Name == name && (r.Status == doctor.Pass || r.Status == doctor.Warn) {
			return r, true
		}
	}
	return doctor.Result{}, false
}

// copied are the options that name files. They are copied beside agent.yaml,
// where the agent's account can read them: it sees nobody's home directory.
var copied = map[string]string{
	"caFile": "ca.pem", "proxyCaFile": "proxy-ca.pem", "targetCaFile": "target-ca.pem",
	"proxyPasswordFile": "proxy-password", "proxyKeytab": "proxy.keytab",
}

// placeConfiguration writes agent.yaml: that of --config, or the one that is
// there, or the commented example; with the options that were given set in it.
func (i *installation) placeConfiguration(context.Context) error {
	text, err := i.configurationText()
	if err != nil {
		return err
	}
	values, err := i.settings()
	if err != nil {
		return err
	}
	for key, name := range copied {
		source, given := values[key]
		if !given || source == "" {
			continue
		}
		values[key] = filepath.Join(i.layout.ConfigDir, name)
		if err := i.copyFile(source, values[key]); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	edited, err := config.Edit(text, values)
	if err == nil {
		edited, err = config.AddRules(edited, i.rules)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", i.layout.Config(), err)
	}
	if err := i.place(i.layout.Config(), []byte(edited)); err != nil {
		return err
	}
	// From here on as the service will read it.
	relay := i.config.Relay
	i.config, err = config.Load(config.Sources{File: i.layout.Config(), Flags: map[string]string{"data": i.layout.DataDir}})
	if i.config.Relay == "" {
		i.config.Relay = relay
	}
	return err
}

func (i *installation) configurationText() (string, error) {
	if i.sources.File == "" {
		return config.Example, nil
	}
	text, err := os.ReadFile(i.sources.File)
	if err != nil {
		return "", fmt.Errorf("read configuration: %w", err)
	}
	return string(text), nil
}

// settings are the options that were given on the command line or in the
// environment, neither of which the service will have. The relay's URL is part
// of the identity.
func (i *installation) settings() (map[string]string, error) {
	values := map[string]string{}
	for _, o := range config.Options() {
		if o.Key == "relay" || o.Key == "dataDir" {
			continue
		}
		if value := i.sources.Given(o.Flag, o.Env); value != "" {
			values[o.Key] = value
		}
	}
	if _, given := values["proxy"]; given {
		return values, nil
	}
	proxy, from, err := i.personalProxy()
	if err != nil || proxy == "" {
		return values, err
	}
	i.say("The proxy of %s is written into agent.yaml: the service would not see it.", from)
	values["proxy"] = proxy
	return values, nil
}

// personalProxy is the proxy that leads to the relay because of the settings
// of whoever runs this, which those of the service's account are not.
func (i *installation) personalProxy() (proxy, from string, err error) {
	c := i.config
	way, err := newEgress(c, i.world, nil)
	if err != nil {
		return "", "", err
	}
	address := c.Relay
	if address == "" && i.before != nil {
		address = i.before.Relay
	}
	relay, err := config.ParseRelay(address)
	if err != nil {
		return "", "", err
	}
	chosen, err := way.Way(relay)
	if err != nil || chosen.Proxy == nil {
		return "", "", err
	}
	if i.world.Env != nil {
		if value, set := i.world.Env(chosen.Source); set { // with its password
			return value, chosen.Source, nil
		}
	}
	if runtime.GOOS == "windows" && c.Proxy == config.Defaults().Proxy {
		return chosen.Proxy.String(), "the " + chosen.Source, nil
	}
	return "", "", nil
}

func (i *installation) copyFile(source, target string) error {
	from, err := os.Stat(source)
	if err != nil {
		return err
	}
	if to, err := os.Stat(target); err == nil && os.SameFile(from, to) {
		return nil
	}
	content, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	return i.place(target, content)
}

// place writes a file for the agent to read, and remembers what was there.
func (i *installation) place(path string, content []byte) error {
	undo, err := service.PlaceFile(i.host, path, content, service.Reads)
	if err == nil {
		i.undo.Later("restore "+path, undo)
	}
	return err
}
