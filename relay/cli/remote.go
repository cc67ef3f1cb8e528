package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sallyport/relay/client"
	"sallyport/relay/manifest"
)

// remote is how commands reach a relay.
type remote struct {
	url, tokenFile, caFile string
	plainHTTP              bool
}

func (r *remote) addTo(flags *pflag.FlagSet) {
	flags.StringVar(&r.url, "relay", "", "the relay's URL, such as https://relay.example.com [$SALLYPORT_RELAY]")
	flags.StringVar(&r.tokenFile, "token-file", "", "file that holds the API token [$SALLYPORT_TOKEN_FILE, or the token itself in $SALLYPORT_TOKEN]")
	flags.StringVar(&r.caFile, "ca-file", "", "PEM file of further authorities to trust for the relay's certificate [$SALLYPORT_CA_FILE]")
	flags.BoolVar(&r.plainHTTP, "allow-plain-http", false, "send the token without encryption to another machine, where the URL begins with http://")
}

// client is a client of the relay. The caller calls close after its last use.
func (r remote) client(o outside) (c *client.Client, close func(), err error) {
	base, err := r.base(o)
	if err != nil {
		return nil, nil, err
	}
	token, err := r.token(o)
	if err != nil {
		return nil, nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() // with the environment's proxy
	if file := r.from(o, r.caFile, "SALLYPORT_CA_FILE"); file != "" {
		if transport.TLSClientConfig, err = trusting(file); err != nil {
			return nil, nil, err
		}
	}
	// No call to the API leads elsewhere; a redirect would be taken for an answer
	// of somebody else's.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c = &client.Client{Base: base, Token: token, HTTP: &http.Client{Transport: transport, CheckRedirect: stay}}
	return c, transport.CloseIdleConnections, nil
}

// from is a flag's value, or that of the environment.
func (remote) from(o outside, flag, variable string) string {
	if flag != "" {
		return flag
	}
	value, _ := o.env(variable)
	return value
}

func (r remote) base(o outside) (string, error) {
	given := r.from(o, r.url, "SALLYPORT_RELAY")
	if given == "" {
		return "", errors.New("which relay? Say so with --relay URL, or in SALLYPORT_RELAY")
	}
	u, err := url.Parse(given)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return "", fmt.Errorf("%q is no URL of a relay: it begins with https:// and has a host, such as https://relay.example.com", given)
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) && !r.plainHTTP {
		return "", fmt.Errorf("%s has no encryption, and the token would be readable on the way: use https://, or say --allow-plain-http", given)
	}
	return strings.TrimRight(given, "/"), nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// token comes from a file or the environment: arguments can be read by everybody
// on the machine.
func (r remote) token(o outside) (string, error) {
	file := r.tokenFile
	if file == "" {
		if token, _ := o.env("SALLYPORT_TOKEN"); token != "" {
			return strings.TrimSpace(token), nil
		}
		file, _ = o.env("SALLYPORT_TOKEN_FILE")
	}
	if file == "" {
		return "", errors.New("no API token: put it into SALLYPORT_TOKEN, or into a file that you name with --token-file; the relay's settings make one, or: sallyport-relay token create NAME")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	if token := strings.TrimSpace(string(text)); token != "" {
		return token, nil
	}
	return "", fmt.Errorf("the token's file %s is empty", file)
}

func trusting(file string) (*tls.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ca-file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("ca-file %s holds no certificate in PEM form", file)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// atRelay makes the RunE of a command that talks to a relay.
func atRelay(cmd *cobra.Command, o outside, do func(ctx context.Context, c *client.Client, args []string) error) {
	r := &remote{}
	r.addTo(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return r.run(cmd, o, args, do) }
}

func (r *remote) run(cmd *cobra.Command, o outside, args []string, do func(ctx context.Context, c *client.Client, args []string) error) error {
	c, close, err := r.client(o)
	if err != nil {
		return err
	}
	defer close()
	return inTheirWords(unreached(c.Base, do(cmd.Context(), c, args)))
}

// unreached says of a relay from which no answer came what to look at.
func unreached(base string, err error) error {
	var failed *url.Error
	if !errors.As(err, &failed) || errors.Is(err, context.Canceled) {
		return err
	}
	advice := "check the URL, and that the relay runs"
	if unknown := new(x509.UnknownAuthorityError); errors.As(err, unknown) {
		advice = "name the authority of its certificate with --ca-file"
	}
	return fmt.Errorf("no answer came from the relay %s: %w; %s", base, failed.Err, advice)
}

// orAtRelay lets a command that works on the database do the same by the API of a
// relay, where --relay names one. The environment alone does not change what a
// command works on.
func orAtRelay(cmd *cobra.Command, o outside, do func(ctx context.Context, c *client.Client, args []string) error) {
	r, beside := &remote{}, cmd.RunE
	r.addTo(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("relay") {
			return r.run(cmd, o, args, do)
		}
		return beside(cmd, args)
	}
}

// inTheirWords is an answer of the relay as a person at a terminal reads it: what
// happened, each faulty field on a line, and what to do.
func inTheirWords(err error) error {
	e := client.AsError(err)
	var faults manifest.Faults
	if e == nil || errors.As(err, &faults) {
		return err
	}
	text := e.Detail
	if len(e.Errors) > 1 {
		for _, f := range e.Errors {
			text += "\n  " + f.Path + ": " + f.Message
		}
	}
	if e.Hint != "" {
		text += "\n" + e.Hint
	}
	return errors.New(onTerminal(text))
}
