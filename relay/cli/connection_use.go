package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/relay/client"
)

func newConnectionTest(o outside) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test CONNECTION",
		Short: "Test a connection, and show what to change where it fails",
		Long:  "Test a saved connection, step by step. Exit status 1: it failed.\nWith -f FILE, test what the file says in its place; nothing is saved.",
		Args:  cobra.MaximumNArgs(1),
	}
	var file fileFlags
	var out output
	file.addTo(cmd)
	out.addTo(cmd)
	atRelay(cmd, o, func(ctx context.Context, c *client.Client, args []string) error {
		if err := out.check(); err != nil {
			return err
		}
		if len(args) == 0 && file.file == "" {
			return errors.New("which connection? Give its id, key or name, or a file with -f")
		}
		var known client.Connection
		var err error
		if len(args) > 0 {
			if known, err = connectionOf(ctx, c, args[0]); err != nil {
				return err
			}
		}
		onStep := func(s client.TestStep) { showStep(o.out, s) }
		if out.format != "table" {
			onStep = nil
		}
		result, err := testOf(ctx, c, o, &file, known.ID, onStep)
		if err != nil {
			return err
		}
		if out.format != "table" {
			if err := out.show(o.out, result, nil); err != nil {
				return err
			}
		}
		if !result.OK {
			return exitStatus(1)
		}
		return nil
	})
	return cmd
}

func testOf(ctx context.Context, c *client.Client, o outside, file *fileFlags, id string, onStep func(client.TestStep)) (client.TestResult, error) {
	if file.file == "" {
		return c.TestSaved(ctx, id, onStep)
	}
	schema, doc, err := file.read(ctx, c, o)
	if err != nil {
		return client.TestResult{}, err
	}
	values, err := file.values(o)
	if err != nil {
		return client.TestResult{}, err
	}
	body, err := schema.Body(ctx, c, doc, values, id == "")
	if err != nil {
		return client.TestResult{}, err
	}
	return c.TestDocument(ctx, id, body, onStep)
}

// showStep shows a step when it ends, what to do on a line of its own.
func showStep(w io.Writer, s client.TestStep) {
	if s.Status == "running" {
		return
	}
	fmt.Fprintf(w, "%-8s %-7s", s.Name, s.Status)
	if s.Status != "skipped" {
		fmt.Fprintf(w, " %.0f ms", s.DurationMs)
	}
	fmt.Fprintf(w, "  %s\n", onTerminal(s.Message))
	if s.Hint != "" {
		fmt.Fprintf(w, "         %s\n", onTerminal(s.Hint))
	}
}

func newConnectionCall(o outside) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "call CONNECTION METHOD PATH",
		Short: "Send a request through a connection",
		Long: "Send a request through a connection; the path continues its base URI. The body of the application's answer\n" +
			"goes to the standard output as it is. Exit status 1: the relay or the agent answered in its place.",
		Args: cobra.ExactArgs(3),
	}
	var data string
	var fields []string
	var include, fail bool
	cmd.Flags().StringVarP(&data, "data", "d", "", "the body; @FILE reads it from a file, @- from the standard input")
	cmd.Flags().StringArrayVarP(&fields, "header", "H", nil, `a header field, as "Name: value"; may be repeated`)
	cmd.Flags().BoolVarP(&include, "include", "i", false, "show status and header before the body")
	cmd.Flags().BoolVar(&fail, "fail", false, "exit status 22 where the application's status is 400 or more")
	atRelay(cmd, o, func(ctx context.Context, c *client.Client, args []string) error {
		known, err := connectionOf(ctx, c, args[0])
		if err != nil {
			return err
		}
		body, err := bodyOf(data, o.in)
		if err != nil {
			return err
		}
		defer body.Close()
		path := "/" + strings.TrimPrefix(args[2], "/")
		req, err := http.NewRequestWithContext(ctx, strings.ToUpper(args[1]), "http://connection"+path, body)
		if err != nil {
			return err
		}
		if data == "" {
			req.Body, req.ContentLength = nil, 0
		} else if req.Header.Set("Content-Type", known.MediaType.ContentType()); req.ContentLength == 0 {
			req.ContentLength = -1
		}
		for _, field := range fields {
			name, value, ok := strings.Cut(field, ":")
			if !ok {
				return fmt.Errorf(`--header %q: write "Name: value"`, field)
			}
			req.Header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
		}
		return send(c.ThroughConnection(known.ID), req, o, include, fail)
	})
	return cmd
}

// bodyOf is what --data means.
func bodyOf(data string, in io.Reader) (io.ReadCloser, error) {
	from, isFile := strings.CutPrefix(data, "@")
	switch {
	case !isFile:
		return io.NopCloser(strings.NewReader(data)), nil
	case from == "-":
		return io.NopCloser(in), nil
	}
	return os.Open(from)
}

func send(through *http.Client, req *http.Request, o outside, include, fail bool) error {
	resp, err := through.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if include {
		fmt.Fprintf(o.out, "HTTP/%d.%d %s\n", resp.ProtoMajor, resp.ProtoMinor, resp.Status)
		if err := resp.Header.Write(o.out); err != nil {
			return err
		}
		fmt.Fprintln(o.out)
	}
	if _, err := io.Copy(o.out, resp.Body); err != nil {
		return fmt.Errorf("the answer broke off: %w", err)
	}
	if fail && resp.StatusCode >= 400 {
		fmt.Fprintf(o.err, "sallyport-relay: the application answered %s\n", resp.Status)
		return exitStatus(22) // as curl's
	}
	return nil
}

func newConnectionSession(o outside) *cobra.Command {
	cmd := &cobra.Command{Use: "session CONNECTION", Short: "Show the stored session, never a cookie's value", Args: cobra.ExactArgs(1)}
	var out output
	out.addTo(cmd)
	atRelay(cmd, o, func(ctx context.Context, c *client.Client, args []string) error {
		if err := out.check(); err != nil {
			return err
		}
		known, err := connectionOf(ctx, c, args[0])
		if err != nil {
			return err
		}
		session, err := c.Session(ctx, known.ID)
		if err != nil {
			return err
		}
		return out.show(o.out, session, func(w io.Writer) {
			showSession(w, session)
		})
	})
	return cmd
}

func showSession(w io.Writer, s client.Session) {
	row(w, "ID", s.ID)
	row(w, "Created", ago(&s.CreatedAt))
	row(w, "Last used", ago(&s.LastUsedAt))
	if s.ExpiresAt != nil {
		row(w, "Expires", ago(s.ExpiresAt))
	}
	row(w, "Sign-ins", s.SignIns)
	row(w, "Why", s.Reason)
	if s.SignIn != nil {
		row(w, "State", s.SignIn.Text)
	}
	for _, cookie := range s.Cookies {
		row(w, "Cookie", cookie.Name, cookie.Domain+cookie.Path)
	}
	for _, name := range s.Values {
		row(w, "Value", name)
	}
}

func newConnectionSignIn(o outside) *cobra.Command {
	cmd := &cobra.Command{Use: "sign-in CONNECTION", Short: "Sign in now, in the place of the stored session", Args: cobra.ExactArgs(1)}
	atRelay(cmd, o, func(ctx context.Context, c *client.Client, args []string) error {
		known, err := connectionOf(ctx, c, args[0])
		if err != nil {
			return err
		}
		session, err := c.SignIn(ctx, known.ID)
		if err != nil {
			return err
		}
		fmt.Fprintf(o.out, "Signed in: session %s.\n", session.ID)
		return nil
	})
	return cmd
}

func newConnectionSignOut(o outside) *cobra.Command {
	cmd := &cobra.Command{Use: "sign-out CONNECTION", Short: "Forget the stored session; the next request signs in anew", Args: cobra.ExactArgs(1)}
	atRelay(cmd, o, func(ctx context.Context, c *client.Client, args []string) error {
		known, err := connectionOf(ctx, c, args[0])
		if err != nil {
			return err
		}
		if err := c.SignOut(ctx, known.ID); err != nil {
			return err
		}
		fmt.Fprintln(o.out, "Signed out.")
		return nil
	})
	return cmd
}
