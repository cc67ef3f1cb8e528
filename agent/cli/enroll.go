package cli

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/agent/config"
	"sallyport/agent/egress"
	"sallyport/agent/link"
	"sallyport/internal/buildinfo"
	"sallyport/proto"
)

// enrollTimeout bounds the whole exchange with the relay.
const enrollTimeout = 30 * time.Second

func newEnroll(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "enroll --relay URL --code CODE --data DIR",
		Short: "Exchange a one-time code for an identity",
		Long: "Exchange a one-time code for an identity. The key is made on this machine and never leaves it.\n" +
			"So that the code does not show in the process list, give it in $SALLYPORT_CODE, or on standard input with --code -.",
		Args: cobra.NoArgs,
	}
	load := addOptions(cmd, w, append([]string{"relay", "data"}, egressFlags...)...)
	code := cmd.Flags().String("code", "", "the one-time code; - reads it from standard input ($SALLYPORT_CODE)")
	replace := cmd.Flags().Bool("replace", false, "give up the identity that the data directory holds")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := load()
		if err != nil {
			return err
		}
		secret, err := readCode(cmd.Context(), *code, w)
		if err != nil {
			return err
		}
		identity, err := enroll(cmd.Context(), c, w, secret, *replace)
		if err != nil {
			return err
		}
		fmt.Fprintf(w.Out, "Enrolled as agent %q at %s.\nNow run: sallyport-agent run --data %s%s\n", identity.AgentName, identity.Relay, c.DataDir,
			again(cmd, append([]string{"config"}, egressFlags...)...))
		return nil
	}
	return cmd
}

func readCode(ctx context.Context, flag string, w World) (string, error) {
	code := flag
	switch {
	case flag == "-":
		line, err := typedAt(io.LimitReader(w.In, 4096)).line(ctx)
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the code from standard input: %w", err)
		}
		code = line
	case flag == "" && w.Env != nil:
		code, _ = w.Env("SALLYPORT_CODE")
	}
	if code = strings.TrimSpace(code); code == "" {
		return "", errors.New("which code? Give --code CODE, --code - with the code on standard input, or set SALLYPORT_CODE")
	}
	return code, nil
}

func enroll(ctx context.Context, c config.Config, w World, code string, replace bool) (config.Identity, error) {
	if c.Relay == "" {
		return config.Identity{}, errors.New("which relay? Give --relay URL, or set SALLYPORT_RELAY")
	}
	relay, err := config.ParseRelay(c.Relay)
	if err != nil {
		return config.Identity{}, err
	}
	if err := link.CheckRelay(relay, c.AllowPlaintextRelay); err != nil {
		return config.Identity{}, err
	}
	if err := refuseOverwrite(c.DataDir, replace); err != nil {
		return config.Identity{}, err
	}
	place, err := config.Reserve(c.DataDir, config.IdentityFile)
	if err != nil {
		return config.Identity{}, err
	}
	defer place.Release()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return config.Identity{}, fmt.Errorf("make a key: %w", err)
	}
	way, err := newEgress(c, w, nil)
	if err != nil {
		return config.Identity{}, err
	}
	identity, err := exchangeCode(ctx, way, relay, code, public)
	if err != nil {
		return config.Identity{}, err
	}
	identity.Relay, identity.Seed = relay.String(), key.Seed()
	if c.CAFile != "" {
		if identity.CAFile, err = filepath.Abs(c.CAFile); err != nil {
			return config.Identity{}, fmt.Errorf("--ca-file: %w", err)
		}
	}
	return identity, place.Write(identity)
}

func refuseOverwrite(dir string, replace bool) error {
	if replace {
		return nil
	}
	old, err := config.LoadIdentity(dir)
	switch {
	case errors.Is(err, config.ErrNotEnrolled):
		return nil
	case err == nil:
		return fmt.Errorf("%s is enrolled already, as agent %q at %s. To give that up, add --replace; to run another agent beside it, choose another --data directory", dir, old.AgentName, old.Relay)
	}
	return err
}

// exchangeCode asks the relay for an identity.
func exchangeCode(ctx context.Context, way *egress.Egress, relay *url.URL, code string, public ed25519.PublicKey) (config.Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, enrollTimeout)
	defer cancel()
	body, err := json.Marshal(map[string]any{
		"code": code, "publicKey": []byte(public), "hostname": hostname(),
		"os": runtime.GOOS, "arch": runtime.GOARCH, "version": buildinfo.Version(),
	})
	if err != nil {
		return config.Identity{}, fmt.Errorf("ask the relay: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, relay.JoinPath(proto.EnrollPath).String(), bytes.NewReader(body))
	if err != nil {
		return config.Identity{}, fmt.Errorf("ask the relay: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, application/problem+json")
	req.Header.Set("User-Agent", "sallyport-agent/"+buildinfo.Version())
	resp, err := way.HTTPTransport().RoundTrip(req)
	if err != nil {
		return config.Identity{}, fmt.Errorf("the relay %s was not reached: %w", relay, egress.Explain(relay.Host, err))
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return config.Identity{}, fmt.Errorf("the relay's answer broke off: %w", err)
	}
	return readAnswer(relay, resp, text)
}

// readAnswer reads the relay's answer, and tells a relay's refusal from
// something that is not a relay.
func readAnswer(relay *url.URL, resp *http.Response, text []byte) (config.Identity, error) {
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode == http.StatusCreated && media == "application/json":
		var identity config.Identity
		if err := json.Unmarshal(text, &identity); err != nil || identity.AgentID == "" || identity.InstanceID == "" {
			return config.Identity{}, fmt.Errorf("%s is not a Sallyport relay: its answer names no agent", relay)
		}
		identity.Seed = nil // ours alone to say
		return identity, nil
	case media == "application/problem+json":
		var problem proto.Error
		if err := json.Unmarshal(text, &problem); err == nil && problem.Detail != "" {
			message := "the relay refused: " + problem.Detail
			if problem.Hint != "" {
				message += " " + problem.Hint
			}
			return config.Identity{}, errors.New(message)
		}
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return config.Identity{}, fmt.Errorf("%s redirects to %s: give the URL at which the relay itself answers", relay, place(resp.Header.Get("Location")))
	}
	return config.Identity{}, fmt.Errorf("%s is not a Sallyport relay, or something stands before it: it answered %q with %s. "+
		"Check the URL; a captive portal or proxy may have answered in the relay's place", relay, resp.Status, describe(media))
}

// place is a redirect's target without its query, which may hold a token.
func place(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return "another place"
	}
	u.RawQuery, u.Fragment, u.User = "", "", nil
	return u.String()
}

func describe(media string) string {
	switch media {
	case "":
		return "no content type"
	case "text/html":
		return "a web page"
	}
	return media
}
