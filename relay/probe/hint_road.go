package probe

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"time"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/hub"
	"sallyport/relay/road"
)

// roads: hints for requests that got no answer, by the reason and the facts
// that the end of the road gave.
func (e evidence) roads() *advice {
	f := e.failure
	fact := func(name string) string { return f.Facts[name] }
	switch f.Code {
	case proto.CodeAgentOffline:
		if f.Reason == hub.ReasonRelayUnreachable {
			return relayUnreachable(f)
		}
		return agentOffline()
	case proto.CodeAgentPaused:
		return agentPaused()
	case proto.CodeTargetDNS:
		return e.dns()
	case proto.CodeTargetTLS:
		return e.tls()
	case proto.CodeTargetRefused:
		return &advice{ID: "refused", Text: fmt.Sprintf("The machine at %s is there, but nothing accepts connections on that port. Check the port in the base URI, and that the application is running.", orUnknown(fact("address")))}
	case proto.CodeTargetTimeout:
		return e.timeout()
	case proto.CodePolicyDenied:
		return e.policy()
	case proto.CodeTooManyRequests, proto.CodeTooLarge:
		if h := e.ruleLimit(); h != nil {
			return h
		}
	case proto.CodeSecretUnavailable:
		return &advice{ID: "agent-secret", Text: f.Hint}
	case proto.CodeAddressForbidden:
		return privateAddress(fact("host"), fact("address"))
	case proto.CodeTunnelLost:
		if fact("relay") != "" {
			return &advice{ID: "relay-lost", Text: "The connection to the relay that holds the agent's tunnels broke while the request was under way. It comes back by itself within seconds; test again then. If it keeps breaking, tell whoever runs the relays."}
		}
		return &advice{ID: "tunnel-lost", Text: "The agent's tunnel broke while the request was under way. It comes back by itself within seconds; test again then. If it keeps breaking, look into the agent's log."}
	case proto.CodeValidation:
		return nil // its detail says what to mend
	}
	switch f.Reason {
	case proto.ReasonReset:
		return &advice{ID: "reset", Text: fmt.Sprintf("%s accepted the connection and closed it without an answer. If it expects https, begin the base URI with https://; else a firewall or proxy in between may have cut it.", orUnknown(fact("address")))}
	case proto.ReasonNoRoute:
		return &advice{ID: "no-route", Text: fmt.Sprintf("No network way leads from %s to %s. Check the address, and that %s is in the right network.", e.where(), orUnknown(fact("address")), e.where())}
	case proto.ReasonNotHTTP:
		return e.notHTTP()
	case proto.ReasonTooManyRedirects:
		return &advice{ID: "redirect-loop", Text: fmt.Sprintf("The application keeps redirecting, last to %s. That is mostly a login page that misses a cookie, or http and https redirecting to each other: enter the final address in the connection.", orUnknown(fact("location")))}
	case road.ReasonRedirectOrigin, road.ReasonRedirectInvalid:
		if to := fact("location"); to != "" {
			return &advice{ID: "redirect-elsewhere", Text: fmt.Sprintf("If %s is the right address, enter it as the base URI or the %s.", to, e.uriField())}
		}
	}
	if f.Hint != "" {
		return &advice{ID: strings.ReplaceAll(string(f.Code), "_", "-"), Text: f.Hint}
	}
	return nil
}

func (e evidence) dns() *advice {
	host, server := orUnknown(e.failure.Facts["host"]), e.failure.Facts["dnsServer"]
	asked := "the DNS of " + e.where()
	if server != "" {
		asked = fmt.Sprintf("the DNS server %s, which %s uses,", server, e.where())
	}
	if e.failure.Reason == proto.ReasonDNSFailed {
		return &advice{ID: "dns-failed", Text: fmt.Sprintf("For %s, %s gave no usable answer. Check the DNS settings of %s, or enter the IP address in the base URI.", host, asked, e.where())}
	}
	text := fmt.Sprintf("The name %s has no address: %s does not know it. Check the spelling in the base URI.", host, asked)
	if e.c.Mode == connection.Cloud {
		text += " A name that only the company's own network knows needs on-premise mode."
	} else {
		text += " If the name is right, try it on that machine, or enter the IP address."
	}
	return &advice{ID: "host-not-found", Text: text}
}

func (e evidence) timeout() *advice {
	stage := e.failure.Facts["stage"]
	doing := map[string]string{
		"dns":     "looking up the name. Check the DNS settings of " + e.where(),
		"connect": "connecting: no answer came at all, as from a firewall that drops packets, or a machine that is off. Check the address and port in the base URI, and the firewall between " + e.where() + " and the application",
		"tls":     "agreeing on TLS. Check that the port speaks https",
		"wait":    "waiting for the application's answer. It has the request and is slow: look into its own log, or choose a lighter URI",
		"body":    "reading the answer, which is long or slow. Choose a URI with a smaller answer",
	}[stage]
	if doing == "" {
		doing = "waiting. Check the address and port in the base URI, and that the application is well"
	}
	return &advice{ID: "timed-out", Text: "The time ran out while " + doing + "."}
}

// policy: the agent says which line would allow it; without one, where to look.
func (e evidence) policy() *advice {
	fact := func(name string) string { return e.failure.Facts[name] }
	if line := fact("line"); line != "" {
		text := "The site's own policy forbids this request. Where it should be allowed, the site's admin adds this line to the agent's policy"
		switch e.failure.Reason {
		case proto.ReasonDenyRule:
			text += fmt.Sprintf(", above the rule that forbids it (%s)", fact("rule"))
		case proto.ReasonGuarded:
			text = fmt.Sprintf("%s is a link-local or metadata address, which an agent reaches only where its site's policy allows it in so many words. If that is really meant, the site's admin adds this line", orUnknown(cmp.Or(fact("address"), fact("host"))))
		}
		return &advice{ID: "policy", Text: text + ": " + line}
	}
	if e.failure.Reason == proto.ReasonSecretHost {
		return &advice{ID: "agent-secret", Text: e.failure.Hint}
	}
	text := "The site's own policy, on the agent's machine, forbids this request. Ask the site's admin to allow it there."
	if e.failure.Hint != "" {
		text = e.failure.Hint
	}
	return &advice{ID: "policy", Text: text}
}

// ruleLimit: a rule of the site's policy allows the request, and no more of its
// kind, or none that is as large.
func (e evidence) ruleLimit() *advice {
	rule := e.failure.Facts["rule"]
	switch e.failure.Reason {
	case proto.ReasonRuleRate:
		return &advice{ID: "policy-rate", Text: fmt.Sprintf("The site's own policy limits how many such requests it lets through. Test again in %s s, or ask the site's admin to raise rate= in this rule: %s", orUnknown(e.failure.Facts["retryAfter"]), rule)}
	case proto.ReasonRuleBody:
		return &advice{ID: "policy-body", Text: "The site's own policy limits how large a request's body may be. Send less, or ask the site's admin to raise body= in this rule: " + rule}
	}
	return nil
}

func (e evidence) tls() *advice {
	fact := func(name string) string { return orUnknown(e.failure.Facts[name]) }
	trust := "the relay's machine"
	if e.c.Mode == connection.OnPremise {
		trust = e.where()
	}
	switch e.failure.Reason {
	case proto.ReasonUnknownAuthority:
		return &advice{ID: "unknown-authority", Text: fmt.Sprintf("The certificate of %s was issued by “%s”, an authority that %s does not trust. Add that authority's certificate to the trust store of %s. If the issuer is a surprise, a proxy may be inspecting TLS.", fact("host"), fact("issuer"), e.where(), trust) + e.orPin()}
	case proto.ReasonSelfSigned:
		return &advice{ID: "self-signed", Text: fmt.Sprintf("The certificate of %s is signed by itself (“%s”). Add it to the trust store of %s, or give the application a certificate of an authority that is trusted there.", fact("host"), fact("subject"), trust) + e.orPin()}
	case proto.ReasonExpired:
		return &advice{ID: "certificate-expired", Text: fmt.Sprintf("The certificate of %s expired on %s. It must be renewed on the application's side. If it should still be valid, check the clock of %s.", fact("host"), day(fact("notAfter")), trust)}
	case proto.ReasonNotYetValid:
		return &advice{ID: "clock", Text: fmt.Sprintf("The certificate of %s is not valid yet. Mostly that means that the clock of %s is slow: compare it with the right time.", fact("host"), trust)}
	case proto.ReasonWrongHost:
		return e.wrongHost()
	case proto.ReasonPinMismatch:
		return &advice{ID: "pin-mismatch", Text: fmt.Sprintf("The agent's site has pinned another certificate for %s than the one that it shows now. If it was renewed on purpose, the site's admin runs `%s` on %s and compares the fingerprint with the application's own. If not, something in between answers in its place.", fact("host"), e.pinCommand(), e.where())}
	case proto.ReasonClientCertificate:
		text := fmt.Sprintf("%s asks for a client certificate. The relay has none: use on-premise mode, where the agent can show one.", fact("host"))
		if e.c.Mode == connection.OnPremise {
			text = fmt.Sprintf("%s asks for a client certificate, and the agent showed none that it takes. The site's admin names one under clientCertificates in agent.yaml on %s.", fact("host"), e.where())
		}
		return &advice{ID: "client-certificate", Text: text}
	case proto.ReasonNotTLS:
		h := &advice{ID: "not-tls", Text: fmt.Sprintf("What listens at %s speaks no TLS. Begin the base URI with http://, or check the port.", fact("address"))}
		if rest, ok := strings.CutPrefix(e.c.BaseURI, "https://"); ok {
			h.Fix = &Fix{Label: "Use http", Field: "baseUri", Value: "http://" + rest}
		}
		return h
	}
	return &advice{ID: "tls", Text: fmt.Sprintf("%s and the application could not agree on TLS. The application may be too old (TLS 1.2 is the least), or ask for a client certificate.", upperFirst(e.where()))}
}

// pinCommand is what pins the certificate on the agent's machine.
func (e evidence) pinCommand() string {
	at := e.c.BaseURI
	if e.exchange != nil && len(e.exchange.Hops) > 0 {
		at = e.exchange.Last().URL.String()
	}
	u, err := url.Parse(at)
	if err != nil {
		return "sallyport-agent trust URL"
	}
	return "sallyport-agent trust " + (&url.URL{Scheme: "https", Host: u.Host}).String()
}

// orPin is one more remedy for a certificate that nobody vouches for. The relay
// has no such command.
func (e evidence) orPin() string {
	if e.c.Mode != connection.OnPremise {
		return ""
	}
	return fmt.Sprintf(" Or have the site's admin run `%s` there, which shows this very certificate and pins it.", e.pinCommand())
}

// wrongHost offers the certificate's own name, where it has just one.
func (e evidence) wrongHost() *advice {
	names := e.failure.Facts["names"]
	if strings.TrimSpace(names) == "" {
		return &advice{ID: "wrong-host-name", Text: "The application's certificate names no host at all; it needs one with its host name (subject alternative name)." + e.orPin()}
	}
	h := &advice{ID: "wrong-host-name", Text: fmt.Sprintf("The base URI says %s, and the certificate is for %s. Use a name that it has, or give the application a certificate for this one.", orUnknown(e.failure.Facts["host"]), names) + e.orPin()}
	base, err := connection.ParseBase(e.c.BaseURI)
	if err == nil && !strings.ContainsAny(names, ", *") && strings.EqualFold(base.Hostname(), e.failure.Facts["host"]) {
		fixed := *base
		fixed.Host = names
		if strings.Contains(names, ":") {
			fixed.Host = "[" + names + "]"
		}
		if p := base.Port(); p != "" {
			fixed.Host += ":" + p
		}
		h.Fix = &Fix{Label: "Use " + names, Field: "baseUri", Value: fixed.String()}
	}
	return h
}

// notHTTP: mostly TLS on a port to which plain http was spoken.
func (e evidence) notHTTP() *advice {
	h := &advice{ID: "not-http", Text: fmt.Sprintf("What listens at %s does not speak HTTP. Check the port in the base URI.", orUnknown(e.failure.Facts["address"]))}
	if rest, ok := strings.CutPrefix(e.c.BaseURI, "http://"); ok {
		h.Text += " If it expects TLS, begin the base URI with https://."
		h.Fix = &Fix{Label: "Use https", Field: "baseUri", Value: "https://" + rest}
	}
	return h
}

// day writes a fact's time for a person.
func day(rfc3339 string) string {
	t, err := time.Parse(time.RFC3339, rfc3339)
	if err != nil {
		return rfc3339
	}
	return t.UTC().Format("2 January 2006, 15:04 UTC")
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func privateAddress(host, address string) *advice {
	where := orUnknown(host)
	if address != "" && address != host {
		where += " has the address " + address + ", which"
	}
	h := &advice{ID: "private-address", Fix: &Fix{Label: "Use on-premise", Field: "mode", Value: string(connection.OnPremise)}}
	h.Text = where + " is not public, and cloud mode reaches public addresses only. Choose on-premise mode and an agent in that network. " +
		"Where the relay itself may reach it, its operator can allow the address with --allow-private-targets."
	return h
}
