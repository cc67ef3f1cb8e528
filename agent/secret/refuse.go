package secret

import (
	"fmt"
	"net/url"

	"sallyport/proto"
)

// unavailable is the error of a secret that can't be had. No text holds a value,
// the arguments of a command, or what one wrote.
func unavailable(name string, reason proto.Reason, err error, detail, hint string, facts ...string) *proto.Error {
	e := &proto.Error{Code: proto.CodeSecretUnavailable, Reason: reason, Outcome: proto.OutcomeNotSent,
		Detail: detail, Hint: hint, Facts: map[string]string{"secret": name}, Err: err}
	for i := 0; i+1 < len(facts); i += 2 {
		e.Facts[facts[i]] = facts[i+1]
	}
	return e
}

func unknown(name string) *proto.Error {
	return unavailable(name, proto.ReasonSecretUnknown, nil,
		fmt.Sprintf("The agent's site has no secret %q.", name),
		fmt.Sprintf("Correct the name in {{agent.secret.%s}}, or have the site's admin add %q under secrets: in agent.yaml.", name, name))
}

// elsewhere is the error of a secret that is not meant for the request's host.
func elsewhere(name string, u *url.URL) *proto.Error {
	return &proto.Error{Code: proto.CodePolicyDenied, Reason: proto.ReasonSecretHost, Outcome: proto.OutcomeNotSent,
		Detail: fmt.Sprintf("The secret %q of the agent's site is not meant for %s.", name, u.Host),
		Hint:   fmt.Sprintf("If it may be sent there, the site's admin adds %s to the hosts of the secret %q in agent.yaml.", u.Host, name),
		Facts:  map[string]string{"secret": name, "host": u.Host}}
}

func unusableLength(name string, length int) *proto.Error {
	what := "is empty"
	if length > 0 {
		what = fmt.Sprintf("is longer than %d bytes", maxValue)
	}
	return unavailable(name, proto.ReasonSecretEmpty, nil,
		fmt.Sprintf("The value of the secret %q of the agent's site %s.", name, what),
		fmt.Sprintf("The site's admin looks at what agent.yaml names as the source of the secret %q.", name))
}

// unfit is the error of a value that can't stand where it is wanted; why goes on
// from "its value".
func unfit(name, where, why string) *proto.Error {
	return unavailable(name, proto.ReasonSecretValue, nil,
		fmt.Sprintf("The secret %q of the agent's site can't be put into %s: its value %s.", name, where, why),
		"The site's admin corrects the value, or the placeholder is moved to another place.")
}

// echoed is the error of an answer whose cookie would tell the relay a secret.
func echoed(names string) *proto.Error {
	e := unavailable(names, proto.ReasonSecretEchoed, nil,
		fmt.Sprintf("The application put the secret %s of the agent's site into a cookie. Cookies are kept by the relay, which must not learn the secret, so the answer was not passed on.", names),
		"If the relay may know it, use {{secret.NAME}} for this application in the place of {{agent.secret.NAME}}.")
	e.Outcome = proto.OutcomeSent
	return e
}

// faulty is the error of options that can't be read: the relay's fault.
func faulty(err error) *proto.Error {
	return &proto.Error{Code: proto.CodeValidation, Outcome: proto.OutcomeNotSent, Err: err,
		Detail: fmt.Sprintf("The agent can't read where its secrets are to stand: %v.", err), Hint: "Update the agent and the relay."}
}
