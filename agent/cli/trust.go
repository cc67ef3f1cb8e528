package cli

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sallyport/agent/config"
	"sallyport/agent/control"
	"sallyport/agent/trust"
	"sallyport/internal/outbound"
)

// trustCommand is this command, as errors name it.
const trustCommand = "sallyport-agent trust"

// trustFlags are those of trust.
type trustFlags struct {
	list, yes   bool
	remove      string
	fingerprint string
}

// load reads what the command needs: to show or forget pins, no more than where
// they are, though agent.yaml may be faulty.
func (f trustFlags) load(s config.Sources) (config.Config, error) {
	if !f.list && f.remove == "" {
		return loadFrom(s)
	}
	dir, err := s.DataDir()
	if err == nil {
		dir, err = absolute(dir)
	}
	return config.Config{DataDir: dir}, permitted(err)
}

func newTrust(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trust URL [--data DIR]",
		Short: "Show an application's certificate, and pin it: the agent then accepts this very one",
		Long: "Show the certificate that an application shows, and why it is not trusted; then, if you agree, pin it: from then on the agent accepts this very certificate at that host and port, and no other. " +
			"Compare the fingerprint with the one on the application's own machine first: something on the way may answer in its place. " +
			"Where nobody can be asked, give --yes and the --fingerprint that you know. Nothing is sent to the application.",
		Example: "  " + trustCommand + " https://erp.plant2.internal:8443\n  " + trustCommand + " --list\n  " + trustCommand + " --remove erp.plant2.internal:8443",
		Args:    cobra.MaximumNArgs(1),
	}
	sources := addSources(cmd, w, "data", "target-proxy", "target-ca-file")
	var f trustFlags
	cmd.Flags().BoolVar(&f.list, "list", false, "show what is pinned")
	cmd.Flags().StringVar(&f.remove, "remove", "", "forget the certificate of a host, named by URL or as host:port")
	cmd.Flags().StringVar(&f.fingerprint, "fingerprint", "", "the SHA-256 fingerprint that the certificate must have")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "pin it without asking; needs --fingerprint")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := f.load(sources())
		if err != nil {
			return err
		}
		t := trusting{World: w, flags: f, config: c, now: time.Now()}
		switch {
		case f.list && f.remove == "" && len(args) == 0:
			return t.printList()
		case f.remove != "" && !f.list && len(args) == 0:
			return t.forget(cmd.Context())
		case len(args) == 1 && !f.list && f.remove == "":
			return t.pin(cmd.Context(), args[0])
		}
		return errors.New("which one? Give the application's URL, or --list, or --remove HOST:PORT")
	}
	return cmd
}

// trusting is one run of the command.
type trusting struct {
	World
	flags  trustFlags
	config config.Config
	now    time.Time
}

// pin shows a certificate and pins it, where whoever runs the command agrees.
func (t trusting) pin(ctx context.Context, url string) error {
	host, err := trust.HostOf(url)
	if err != nil {
		return err
	}
	pins, err := trust.Load(t.config.DataDir)
	if err != nil {
		return err
	}
	proxy, err := t.config.RequestProxy()
	if err != nil {
		return err
	}
	roots, err := t.config.TargetAuthorities()
	if err != nil {
		return err
	}
	seen, err := trust.Look(ctx, host, proxy, roots)
	if err != nil {
		return err
	}
	t.show(seen)
	shown, before := outbound.FingerprintOf(seen.Leaf().Raw), trust.Of(pins, host)
	switch {
	case before != nil && before.SHA256 == shown.String():
		fmt.Fprintln(t.Out, "It is pinned already.")
		return nil
	case before != nil:
		fmt.Fprintf(t.Out, "Another one is pinned, since %s:\n  SHA-256  %s\n", before.PinnedAt.Format(time.DateOnly), before.SHA256)
	case seen.Refused == nil:
		fmt.Fprintln(t.Out, "It is trusted as it is: nothing has to be pinned.")
		return nil
	}
	agreed, err := t.agreed(ctx, host, shown)
	if err != nil || !agreed {
		return err
	}
	if err := trust.Save(t.config.DataDir, trust.With(pins, trust.NewPin(host, seen.Leaf(), t.now))); err != nil {
		return err
	}
	return t.use(ctx, fmt.Sprintf("Pinned: at %s the agent accepts this certificate and no other", host))
}

// agreed reports whether the certificate is to be pinned.
func (t trusting) agreed(ctx context.Context, host string, shown outbound.Fingerprint) (bool, error) {
	if t.flags.fingerprint != "" {
		want, err := trust.ParseFingerprint(t.flags.fingerprint)
		if err != nil {
			return false, fmt.Errorf("--fingerprint: %w", err)
		}
		if want != shown {
			return false, fmt.Errorf("this is not the certificate that --fingerprint names:\n  shown     %s\n  expected  %s\nNothing was pinned", shown, want)
		}
	}
	if t.flags.yes {
		if t.flags.fingerprint == "" {
			return false, errors.New("--yes alone would pin whatever answers: give --fingerprint, too, as the application's own machine shows it")
		}
		return true, nil
	}
	if !isTerminal(t.In) {
		return false, errors.New("there is nobody to ask: give --yes and --fingerprint, as the application's own machine shows it")
	}
	return askTrust(ctx, t.In, t.Out, host)
}

// askTrust asks a person.
func askTrust(ctx context.Context, in io.Reader, out io.Writer, host string) (bool, error) {
	fmt.Fprintf(out, "Is this the fingerprint that %s has on its own machine? Trust it from now on? [y/N] ", host)
	line, err := typedAt(in).line(ctx)
	switch {
	case errors.Is(err, errStopped):
		fmt.Fprintln(out)
	case err != nil && !errors.Is(err, io.EOF):
		return false, fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true, nil
	}
	fmt.Fprintln(out, "Nothing was pinned.")
	return false, errSaid
}

// show prints a certificate, and what the usual checks say of it.
func (t trusting) show(seen *trust.Seen) {
	leaf := seen.Leaf()
	names := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	fmt.Fprintf(t.Out, "%s shows this certificate:\n", seen.Host)
	for _, row := range [][2]string{
		{"Subject", leaf.Subject.String()}, {"Issuer", leaf.Issuer.String()}, {"Names", cmp.Or(strings.Join(names, ", "), "none")},
		{"Valid", leaf.NotBefore.UTC().Format(time.DateOnly) + " to " + leaf.NotAfter.UTC().Format(time.DateOnly) + expiry(leaf.NotAfter, t.now)},
		{"SHA-256", outbound.FingerprintOf(leaf.Raw).String()},
	} {
		fmt.Fprintf(t.Out, "  %-8s %s\n", row[0], row[1])
	}
	if seen.Refused != nil {
		fmt.Fprintf(t.Out, "It is not trusted: %s.\n", whyNot(seen))
	}
}

// whyNot says why the usual checks refuse a certificate.
func whyNot(seen *trust.Seen) string {
	leaf := seen.Leaf()
	var unknown x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	var invalid x509.CertificateInvalidError
	self := len(seen.Chain) == 1 && string(leaf.RawIssuer) == string(leaf.RawSubject)
	switch {
	case errors.As(seen.Refused, &wrongName) && self:
		return "it is made for another name, and signed by itself"
	case errors.As(seen.Refused, &wrongName):
		return "it is made for another name"
	case errors.As(seen.Refused, &invalid) && invalid.Reason == x509.Expired:
		return "it is not valid at this time"
	case errors.As(seen.Refused, &unknown) && self:
		return "it is signed by itself, so nothing proves whose it is"
	case errors.As(seen.Refused, &unknown):
		return fmt.Sprintf("this machine does not know the authority that signed it, %q", seen.Chain[len(seen.Chain)-1].Issuer)
	}
	return strings.TrimPrefix(seen.Refused.Error(), "x509: ")
}

func expiry(end, now time.Time) string {
	switch left := end.Sub(now); {
	case left < 0:
		return " (expired)"
	case left < 60*24*time.Hour:
		return fmt.Sprintf(" (%d days left)", int(left.Hours()/24))
	}
	return ""
}

// printList prints what is pinned.
func (t trusting) printList() error {
	pins, err := trust.Load(t.config.DataDir)
	if err != nil {
		return err
	}
	if len(pins) == 0 {
		fmt.Fprintln(t.Out, "No certificate is pinned.")
		return nil
	}
	table := tabwriter.NewWriter(t.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "HOST\tSUBJECT\tEXPIRES\tPINNED\tSHA-256")
	for _, p := range pins {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", p.Host, cmp.Or(p.Subject, "-"), p.NotAfter.Format(time.DateOnly)+expiry(p.NotAfter, t.now), p.PinnedAt.Format(time.DateOnly), p.SHA256)
	}
	return table.Flush()
}

// forget takes a pin away.
func (t trusting) forget(ctx context.Context) error {
	host, err := trust.HostOf(t.flags.remove)
	if err != nil {
		return fmt.Errorf("--remove: %w", err)
	}
	pins, err := trust.Load(t.config.DataDir)
	if err != nil {
		return err
	}
	if trust.Of(pins, host) == nil {
		return fmt.Errorf("no certificate of %s is pinned: %s --list shows those that are", host, trustCommand)
	}
	if err := trust.Save(t.config.DataDir, trust.Without(pins, host)); err != nil {
		return err
	}
	return t.use(ctx, fmt.Sprintf("Forgotten: the usual checks hold for %s again", host))
}

// use has a running agent take what was saved.
func (t trusting) use(ctx context.Context, done string) error {
	status, err := control.Reload(ctx, t.config.DataDir)
	switch {
	case errors.Is(err, control.ErrNotRunning):
		fmt.Fprintf(t.Out, "%s, as soon as it runs.\n", done)
		return nil
	case err != nil:
		return fmt.Errorf("%s, but the running agent could not be told (%w): run `sallyport-agent reload`", done, err)
	case status.ConfigError != "":
		return fmt.Errorf("%s, but the running agent can't take it before its configuration is mended:\n%s", done, status.ConfigError)
	}
	fmt.Fprintf(t.Out, "%s. The running agent has it in use.\n", done)
	return nil
}
