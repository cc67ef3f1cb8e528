package web

import "sallyport/relay/registry"

// activityRow is a line of the audit trail in the words of these pages. The trail
// and the API have names for programs, which stay the same when the words change.
type activityRow struct{ registry.Entry }

// Change is what was done.
func (a activityRow) Change() string {
	words := map[string]string{
		"connection.create":    "Created",
		"connection.update":    "Changed",
		"connection.delete":    "Deleted",
		"connection.sign_in":   "Signed in",
		"connection.sign_out":  "Signed out",
		"agent.create":         "Created",
		"agent.rename":         "Renamed",
		"agent.delete":         "Removed",
		"agent.logs":           "Log followed",
		"agent.enrolment_code": "Install command made",
		"instance.enrol":       "Machine added",
		"instance.remove":      "Removed",
		"instance.leave":       "Uninstalled",
		"user.create":          "Invited",
		"user.remove":          "Removed",
		"user.role":            "Role set",
		"user.disable":         "Locked out",
		"user.enable":          "Let in again",
		"user.link":            "Sign-in link made",
		"user.sign_in":         "Signed in",
		"user.password":        "Password set",
		"user.password_reset":  "Password removed",
		"token.create":         "Created",
		"token.revoke":         "Revoked",
	}
	return orItself(words, a.Action)
}

// What is the kind of thing that it was done to.
func (a activityRow) What() string {
	return orItself(map[string]string{"connection": "Connection", "agent": "Agent", "instance": "Machine", "user": "Person", "token": "API token"}, a.ObjectType)
}

// By is the kind of actor that goes on from its name; a person has the name alone.
func (a activityRow) By() string {
	return orItself(map[string]string{"user": "", "token": "API token", "agent": "machine", "system": "of the relay"}, a.ActorKind)
}

// Link is the page of what it was done to, "" where there is none.
func (a activityRow) Link() string {
	switch {
	case a.ObjectType == "connection" && a.Action != "connection.delete":
		return "/connections/" + a.ObjectID
	case a.ObjectType == "agent" && a.Action != "agent.delete":
		return "/agents/" + a.ObjectID
	}
	return ""
}

// orItself is the words for a name, or the name where there are none: a relay of
// another version may have written it.
func orItself(words map[string]string, name string) string {
	if w, known := words[name]; known {
		return w
	}
	return name
}
