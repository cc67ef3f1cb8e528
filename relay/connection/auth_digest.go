package connection

// DigestAuth is a user name and a password of which the application gets only
// a proof, made anew for each request (RFC 7616).
type DigestAuth struct {
	Username string `json:"username" doc:"The user name. May hold {{secret.NAME}}."`
	Password string `json:"password" doc:"The password: {{secret.NAME}}. It can't be a secret of the agent."`
}

func (d *DigestAuth) check(f *faults) {
	checkUserName(f, "auth.digest.username", d.Username)
	checkCredential(f, "auth.digest.password", "password", d.Password)
	for _, t := range d.templates() {
		pieces, _ := splitPlaceholders(t.text)
		for _, p := range pieces {
			if p.agents {
				f.add(t.path, "%s can't be used with digest authentication: the relay makes the proof itself, so it has to know the password. Write {{secret.%s}} and enter its value under Secrets, or choose basic authentication, which the agent can fill in, where the application offers it over https.", p.shown(), p.secret)
			}
		}
	}
}

func (d *DigestAuth) templates() []template {
	return []template{
		{"auth.digest.username", d.Username, EscapeHeader},
		{"auth.digest.password", d.Password, EscapeNone},
	}
}

// DigestCredentials are the user name and password of a connection whose type
// is digest.
func (c *Connection) DigestCredentials() (username, password string, err error) {
	if c.Auth.Digest == nil {
		return "", "", &PlaceholderError{Message: "The connection has no user name and password for digest authentication."}
	}
	if username, err = Fill(c.Auth.Digest.Username, EscapeHeader, c.Secrets, nil); err != nil {
		return "", "", err
	}
	password, err = Fill(c.Auth.Digest.Password, EscapeNone, c.Secrets, nil)
	return username, password, err
}
