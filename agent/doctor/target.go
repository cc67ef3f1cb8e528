package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"sallyport/internal/buildinfo"
	"sallyport/proto"
)

// targets looks at each application that was named, as a request through the
// agent would meet it.
func (e *examination) targets(ctx context.Context) {
	for _, target := range e.Targets {
		shown := withoutSecrets(target.String())
		if e.Transport == nil {
			e.skip(CheckTarget, shown, "needs "+CheckConfiguration+", which failed")
			continue
		}
		e.check(CheckTarget, shown, func(r *Result) { e.target(ctx, r, target) })
	}
}

// target sends one GET. Any answer of the application proves that it can be
// reached; that it wants a login is what connections are for.
func (e *examination) target(ctx context.Context, r *Result, target *url.URL) {
	u := *target
	u.User, u.Fragment = nil, ""
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		r.fail("This is not the URL of an application.", "Write it like https://erp.example.internal/api.")
		return
	}
	req.Header.Set("User-Agent", "sallyport-agent/"+buildinfo.Version()+" (doctor)")
	req.Header.Set("Accept", "*/*")
	req.Header.Set(proto.HeaderTimeout, strconv.FormatInt(2*e.Step.Milliseconds(), 10)) // connecting, and answering
	resp, err := e.Transport.RoundTrip(req)
	if err != nil {
		explainTarget(r, &u, err)
		return
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection ends in order; what it holds is nobody's business
	timing, _ := proto.ParseTiming(resp.Header.Get(proto.HeaderTiming))
	r.Facts["httpStatus"], r.Facts["timing"] = resp.StatusCode, timingFacts(timing)
	message := fmt.Sprintf("Answers with status %d: %s.", resp.StatusCode, spent(timing))
	if resp.TLS != nil {
		r.Facts["chain"], r.Facts["version"] = describe(resp.TLS.PeerCertificates), tls.VersionName(resp.TLS.Version)
		message += fmt.Sprintf(" %s, certificate issued by %q, valid until %s.", tls.VersionName(resp.TLS.Version), resp.TLS.PeerCertificates[0].Issuer, day(resp.TLS.PeerCertificates[0].NotAfter))
	}
	e.judgeAnswer(r, resp, message)
}

func (e *examination) judgeAnswer(r *Result, resp *http.Response, message string) {
	var soon *x509.Certificate
	if resp.TLS != nil {
		soon = expiresSoon(resp.TLS.PeerCertificates, e.Clock())
	}
	switch code := resp.StatusCode; {
	case code == http.StatusProxyAuthRequired:
		r.fail("A proxy on the way to the application wants a login (407).", "Give user and password with the proxy's URL in targetProxy, or reach the application without it (targetProxy: none).")
	case code >= 500:
		r.warn(message, "The application can be reached, but answers with an error of its own: look into its log, or name a path that it serves.")
	case soon != nil:
		r.warn(fmt.Sprintf("%s The certificate of %q expires on %s.", message, soon.Subject, day(soon.NotAfter)), "Have the application's certificate renewed in time.")
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		r.pass(message + " That it wants a login is as it should be.")
	case code/100 == 3:
		location := withoutSecrets(resp.Header.Get("Location"))
		r.Facts["location"] = location
		r.pass(fmt.Sprintf("%s It redirects to %s.", message, location))
	default:
		r.pass(message)
	}
}

// explainTarget settles r for an application that gave no answer. Package
// outbound says why; what it says is what requests through the agent are told.
func explainTarget(r *Result, u *url.URL, err error) {
	failed := proto.AsError(err)
	if failed == nil {
		r.fail(sentence(err.Error()), "Check the application's URL.")
		return
	}
	r.Facts["code"] = string(failed.Code)
	if failed.Reason != "" {
		r.Facts["error"] = string(failed.Reason)
	}
	if stage := failed.Facts["stage"]; stage != "" {
		r.Facts["stage"] = stage
	}
	if failed.Timing != nil {
		r.Facts["timing"] = timingFacts(*failed.Timing)
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		r.Facts["chain"] = describe(certificate.UnverifiedCertificates)
	}
	remedy := failed.Hint
	switch failed.Reason {
	case proto.ReasonUnknownAuthority, proto.ReasonSelfSigned:
		remedy = fmt.Sprintf("If %s is your company's own, give the certificate of its authority with --target-ca-file (targetCaFile), or pin its own: sallyport-agent trust https://%s", u.Hostname(), u.Host)
	case "":
		if remedy == "" {
			remedy = "Check the application's URL, and that it is running."
		}
	}
	r.fail(failed.Detail, here(remedy))
}

// here turns a hint for the relay's user into one for who sits at the machine.
func here(hint string) string {
	return strings.ReplaceAll(hint, "the machine from which the request is sent", "this machine")
}

// spent says where the time went.
func spent(t proto.Timing) string {
	var parts []string
	for _, p := range []struct {
		name string
		ms   float64
	}{{"DNS", ms(t.DNS)}, {"connect", ms(t.Connect)}, {"TLS", ms(t.TLS)}, {"answer", ms(t.Wait)}} {
		if p.ms > 0 {
			parts = append(parts, fmt.Sprintf("%s %.1f ms", p.name, p.ms))
		}
	}
	if t.Address != "" {
		parts = append(parts, "at "+t.Address)
	}
	return strings.Join(parts, ", ")
}

func timingFacts(t proto.Timing) Facts {
	return Facts{"dnsMs": ms(t.DNS), "connectMs": ms(t.Connect), "tlsMs": ms(t.TLS), "waitMs": ms(t.Wait), "address": t.Address}
}
