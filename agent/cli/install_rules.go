package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"sallyport/agent/policy"
)

// allowed reads what --allow gave: rules in their canonical form.
func allowed(texts []string) ([]string, error) {
	var rules []string
	for _, text := range texts {
		rule, err := policy.ParseAllow(text)
		if err != nil {
			return nil, fmt.Errorf("--allow: %w", err)
		}
		rules = append(rules, rule.String())
	}
	return rules, nil
}

// settleRules asks what the relay may reach, where nobody has said so yet and
// someone is there to ask.
func (i *installation) settleRules(ctx context.Context) error {
	if len(i.rules) > 0 || i.before != nil || len(i.config.Policy.Rules) > 0 || i.flags.code == "-" || !isTerminal(i.world.In) {
		return nil
	}
	rules, err := askRules(ctx, i.world.In, i.world.Out)
	i.rules = rules
	return err
}

func isTerminal(r io.Reader) bool {
	file, ok := r.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// askRules reads rules, one a line, until an empty one. No rule: everything.
func askRules(ctx context.Context, in io.Reader, out io.Writer) ([]string, error) {
	fmt.Fprint(out, "What may the relay reach through this agent? One rule a line, such as https://erp.plant2.internal/**\n"+
		"An empty line ends the list. [everything that this machine can reach]\n")
	var rules []string
	lines := typedAt(in)
	for {
		fmt.Fprint(out, "allow> ")
		text, err := lines.line(ctx)
		if errors.Is(err, io.EOF) || errors.Is(err, errStopped) {
			fmt.Fprintln(out)
			return nil, errors.New("stopped while it was asked what the relay may reach; nothing was changed")
		}
		if err != nil {
			return nil, fmt.Errorf("read the rules: %w", err)
		}
		if text = strings.TrimSpace(text); text == "" {
			return rules, nil
		}
		rule, err := policy.ParseAllow(text)
		if err != nil {
			fmt.Fprintf(out, "%v\n", err)
			continue
		}
		rules = append(rules, rule.String())
	}
}

// saySurface says what the relay may reach from now on.
func (i *installation) saySurface() {
	compiled, err := i.config.Policy.Compile()
	if err != nil {
		return // it was checked when it was read
	}
	if warning := compiled.Warning(); warning != "" {
		i.say("%s Rules go into %s.", warning, i.layout.Config())
		return
	}
	for _, rule := range compiled.Rules() {
		i.say("The relay may reach: %s", rule)
	}
}
