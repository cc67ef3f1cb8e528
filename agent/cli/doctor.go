package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	stdlog "log"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"sallyport/agent/config"
	"sallyport/agent/doctor"
	"sallyport/proto"
)

// doctorFlags are what doctor has beside the options of agent.yaml.
type doctorFlags struct {
	targets  []string
	idle     time.Duration
	asJSON   bool
	firewall bool
	bundle   string
}

func newDoctor(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor [--relay URL] [--data DIR] [--target URL]...",
		Short: "Find out what stands between this machine, its relay and its applications",
		Long: "Find out what stands between this machine, its relay and its applications. Each check passes, warns or fails,\n" +
			"and says what to do. It needs no enrolment and changes nothing; beside an agent that runs it does no harm.\n" +
			"Exit status 0: nothing failed. 1: something did.",
		Example: "  sallyport-agent doctor --relay https://relay.example.com\n" +
			"  sallyport-agent doctor --data /var/lib/sallyport-agent --target https://erp.example.internal/api\n" +
			"  sallyport-agent doctor --relay https://relay.example.com --firewall-request > request.txt",
		Args: cobra.NoArgs,
	}
	sources := addSources(cmd, w, append([]string{"relay", "data", "target-proxy", "target-ca-file"}, egressFlags...)...)
	var f doctorFlags
	flags := cmd.Flags()
	flags.StringArrayVar(&f.targets, "target", nil, "an application to look at too; may be repeated")
	flags.DurationVar(&f.idle, "idle", 0, "hold a websocket in silence for so long, such as 70s, to see whether it is cut")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON for programs")
	flags.BoolVar(&f.firewall, "firewall-request", false, "print the text to hand to the network team, and nothing else")
	flags.StringVar(&f.bundle, "bundle", "", "also write a zip of diagnostics, without secrets, to this `file`")
	cmd.MarkFlagsMutuallyExclusive("firewall-request", "json")
	cmd.MarkFlagsMutuallyExclusive("firewall-request", "bundle")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := f.check(cmd.Flags().Changed("idle")); err != nil {
			return err
		}
		stdlog.SetOutput(io.Discard) // net/http prints there what unruly servers send
		o, closeAll := examination(sources(), w)
		defer closeAll()
		if err := f.apply(&o); err != nil {
			return err
		}
		if f.firewall {
			return printFirewallRequest(cmd.Context(), o, w)
		}
		return examine(cmd.Context(), o, f, w)
	}
	return cmd
}

func (f doctorFlags) check(idleGiven bool) error {
	if idleGiven && (f.idle < time.Second || f.idle >= proto.MaxTrial) {
		return fmt.Errorf("--idle: from 1s to under %s, such as 70s", proto.MaxTrial)
	}
	if f.bundle == "" {
		return nil
	}
	if _, err := os.Lstat(f.bundle); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--bundle: %s exists already, and is not written over: name another file, or remove it", f.bundle)
	}
	return nil
}

func (f doctorFlags) apply(o *doctor.Options) error {
	o.Idle = f.idle
	for _, text := range f.targets {
		target, err := url.Parse(text)
		if err != nil { // not quoted: there may be a password in it
			return errors.New("--target: one is not a URL; write the application's like https://erp.example.internal/api")
		}
		if target.Host == "" || (target.Scheme != "http" && target.Scheme != "https") {
			return fmt.Errorf("--target %s: write the application's URL like https://erp.example.internal/api", target.Redacted())
		}
		o.Targets = append(o.Targets, target)
	}
	return nil
}

// examination puts together what is to be examined. What the configuration has
// against it becomes part of the report.
func examination(s config.Sources, w World) (o doctor.Options, closeAll func()) {
	c, err := config.Load(s)
	if err != nil {
		c = config.Config{DataDir: s.Given("data", "SALLYPORT_DATA")}
	}
	if c.DataDir != "" {
		if dir, absErr := filepath.Abs(c.DataDir); absErr == nil {
			c.DataDir = dir
		}
	}
	o = doctor.Options{Config: c, ConfigErr: err, ConfigFile: s.Path(), RelayFrom: relayFrom(s)}
	if err != nil {
		return o, func() {}
	}
	if id, err := config.LoadIdentity(c.DataDir); c.DataDir != "" && err == nil {
		o.Config.CAFile = cmp.Or(c.CAFile, id.CAFile)
	}
	if o.Egress, o.ConfigErr = newEgress(o.Config, w, nil); o.ConfigErr != nil {
		return o, func() {}
	}
	transport, rules, err := newTargets(c, nil)
	if err != nil {
		o.ConfigErr = err
		return o, func() {}
	}
	o.Transport = rules.Wrap(transport)
	return o, transport.Close
}

// relayFrom is who names the relay, unless it is the enrolment.
func relayFrom(s config.Sources) string {
	switch {
	case s.Flags["relay"] != "":
		return "--relay"
	case s.Given("relay", "SALLYPORT_RELAY") != "":
		return "SALLYPORT_RELAY"
	}
	return s.Path()
}

func printFirewallRequest(ctx context.Context, o doctor.Options, w World) error {
	text, err := doctor.FirewallRequest(ctx, o)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w.Out, text)
	return err
}

// examine runs the checks and prints what they find: as text while they run, as
// JSON in the end.
func examine(ctx context.Context, o doctor.Options, f doctorFlags, w World) error {
	var transcript doctor.Transcript
	if !f.asJSON {
		fmt.Fprintf(w.Out, "%s\n\n", doctor.ThisMachine().Heading())
		o.Observe = func(r doctor.Result) { fmt.Fprint(w.Out, transcript.Add(r)) }
	}
	report := doctor.Run(ctx, o)
	if err := context.Cause(ctx); err != nil {
		return errors.New("stopped before all was looked at")
	}
	if f.asJSON {
		enc := json.NewEncoder(w.Out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(report); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(w.Out, "%s\n%s\n", transcript.End(), report.Summary.Text())
	}
	if f.bundle != "" {
		env := w.Env
		if env == nil {
			env = func(string) (string, bool) { return "", false }
		}
		if err := doctor.WriteBundle(ctx, f.bundle, doctor.BundleOptions{Report: report, Examined: o, Env: env}); err != nil {
			return err
		}
		fmt.Fprintf(w.Err, "Diagnostics are in %s. Look into it before you send it on.\n", f.bundle)
	}
	if !report.OK {
		return errSaid
	}
	return nil
}
