package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"sallyport/agent/config"
	"sallyport/agent/policy"
)

func newPolicyCheck(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check METHOD URL [--data DIR]",
		Short: "Explain what the rules decide on a request; exit status 0 only if it is allowed",
		Long: "Explain what the rules in agent.yaml decide on a request: which were looked at, which decided, for each address that the name has on this machine, and what would have to be added. " +
			"Nothing is sent. The exit status is 0 if the request is allowed, else 1. Rates are not counted.",
		Example: "  sallyport-agent policy check POST https://erp.plant2.internal:8443/api/orders",
		Args:    cobra.ExactArgs(2),
	}
	load := addRules(cmd, w)
	bytes := cmd.Flags().Int64("body-bytes", 0, "how large the request's body is")
	asJSON := cmd.Flags().Bool("json", false, "print JSON for programs")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		_, c, p, err := load()
		if err != nil {
			return err
		}
		req, err := checkedRequest(cmd.Context(), args[0], args[1], *bytes)
		if err != nil {
			return err
		}
		x, err := explain(c, p, req)
		if err != nil {
			return err
		}
		if *asJSON {
			err = printJSON(w.Out, x)
		} else {
			err = printExplanation(w.Out, req, x, again(cmd, named...))
		}
		if err == nil && !x.Allowed {
			err = errSaid
		}
		return err
	}
	return cmd
}

func checkedRequest(ctx context.Context, method, target string, body int64) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, strings.ToUpper(method), target, nil)
	if err != nil || req.URL.Host == "" || req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		return nil, fmt.Errorf("%s %s is no request: write it like GET https://erp.plant2.internal/api/orders", method, target)
	}
	req.ContentLength = body
	return req, nil
}

// explain asks the policy as a running agent would.
func explain(c config.Config, p *policy.Policy, req *http.Request) (*policy.Explanation, error) {
	proxied := false
	choose, err := c.RequestProxy()
	if err != nil {
		return nil, err
	}
	if choose != nil {
		proxy, err := choose(req)
		proxied = err == nil && proxy != nil
	}
	return p.Explain(req, proxied, func(host string) ([]netip.Addr, error) {
		addresses, err := net.DefaultResolver.LookupNetIP(req.Context(), "ip", host)
		if err != nil {
			return nil, fmt.Errorf("the rules have a say on the address of %s, which this machine can't look up: %w", host, err)
		}
		return addresses, nil
	})
}

func printExplanation(out io.Writer, req *http.Request, x *policy.Explanation, flags string) error {
	fmt.Fprintf(out, "%s %s\n\n", req.Method, req.URL.Redacted())
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, r := range x.Rules {
		fmt.Fprintf(table, "  %d\tline %d\t%s\t%s\n", r.Number, r.Line, r.Rule, remark(r, x))
	}
	fmt.Fprintf(table, "  \tdefault\t%s\t\n", x.Default)
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	if x.Proxied {
		fmt.Fprintln(out, "A proxy (targetProxy) looks the name up, so rules for networks decide on addresses in URLs only.")
	}
	for _, a := range x.Addresses {
		fmt.Fprintf(out, "  %s: %s\n", a.Address, addressVerdict(a))
	}
	if len(x.Addresses) > 0 {
		fmt.Fprintln(out)
	}
	if x.Allowed {
		fmt.Fprintf(out, "Allowed%s.\n", decidedBy(x.DecidedBy))
		return nil
	}
	fmt.Fprintf(out, "Denied. %s\n", x.Refusal.Detail)
	if line := x.Refusal.Facts["line"]; line != "" {
		fmt.Fprintf(out, "To allow it:\n  sallyport-agent policy allow '%s'%s\n", line, flags)
	} else if x.Refusal.Hint != "" {
		fmt.Fprintln(out, x.Refusal.Hint)
	}
	return nil
}

// remark says of a rule what it has to do with the request.
func remark(r policy.Considered, x *policy.Explanation) string {
	switch {
	case r.Differs != "":
		return "other " + r.Differs
	case r.Number == x.DecidedBy:
		return "decides"
	case r.Network:
		return "by address"
	}
	if len(x.Addresses) > 0 && !x.Allowed {
		return "allows the name"
	}
	return "comes too late"
}

func addressVerdict(a policy.AtAddress) string {
	if a.Allowed {
		return "allowed" + decidedBy(a.DecidedBy)
	}
	if a.DecidedBy == 0 {
		return "denied: " + a.Refusal.Detail
	}
	return "denied" + decidedBy(a.DecidedBy)
}

func decidedBy(rule int) string {
	if rule == 0 {
		return " by the default"
	}
	return fmt.Sprintf(" by rule %d", rule)
}
