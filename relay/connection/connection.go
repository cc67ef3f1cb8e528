// Package connection is the domain: what a connection is, its defaults, and
// what makes one valid. The words are those of the form that an integrator
// fills in; docs/connections.md gives the meaning of each.
//
// It is pure: no I/O, no SQL, no HTTP server, and it imports nothing of ours but
// internal/escape, which is as pure and which the agent needs as well.
package connection

// Mode says from where a connection's requests run.
type Mode string

const (
	Cloud     Mode = "cloud"      // directly from the relay
	OnPremise Mode = "on-premise" // from inside the firewall, by an agent
)

// MediaType is the format of the bodies that a connection sends.
type MediaType string

const (
	JSON       MediaType = "json"
	XML        MediaType = "xml"
	URLEncoded MediaType = "urlencoded"
	CSV        MediaType = "csv"
	Plain      MediaType = "plain"
)

// Spec is what a user describes: everything of a connection but the values of
// its secrets. Field names and nesting are the API's.
type Spec struct {
	Name      string    `json:"name" doc:"A name that is meaningful to your integration, 1 to 100 characters."`
	Mode      Mode      `json:"mode" doc:"cloud: requests run from the relay. on-premise: they run from inside the firewall, by the agent."`
	AgentID   string    `json:"agentId,omitempty" doc:"The agent that runs the requests. Required for on-premise."`
	Headers   []Header  `json:"headers,omitempty" doc:"Extra header fields, sent with sign-in, ping and every request, to the base URI's own origin only."`
	BaseURI   string    `json:"baseUri" doc:"The absolute http or https URI of the application's API."`
	MediaType MediaType `json:"mediaType,omitempty" doc:"The format of bodies: json, xml, urlencoded, csv or plain. Default json."`
	Auth      Auth      `json:"auth"`
	Ping      Ping      `json:"ping"`
	Requests  Requests  `json:"requests,omitzero" doc:"How requests are sent through the connection: time-outs, tries, limits."`
	Key       string    `json:"key,omitempty" doc:"What files and programs know the connection by, unique in the workspace: a name may change, a key stays. Letters, digits, “.”, “_” and “-”." example:"plant2-erp"`
	ManagedBy string    `json:"managedBy,omitempty" doc:"Who keeps the connection as code, such as a repository. Its apply may change and prune it."`
	Health    *Health   `json:"health,omitempty" doc:"How the relay watches the connection by itself. Left out: it is pinged every 5 minutes, and nobody is told."`
}

// Header is one configured header field.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// CookieAuth is a sign-in that ends in a cookie.
type CookieAuth struct {
	Method string `json:"method" doc:"GET or POST."`
	URI    string `json:"uri" doc:"The sign-in URI, relative to the base URI."`
	Body   string `json:"body,omitempty" doc:"The body of a POST, with {{secret.NAME}} and {{agent.secret.NAME}} placeholders."`
	// SuccessStatusCode is 100–599, or 0 for any 2xx.
	SuccessStatusCode int           `json:"successStatusCode,omitempty" doc:"The status code of a successful sign-in, 100 to 599. Left out: any 2xx. A 3xx is not followed."`
	Headers           []Header      `json:"headers,omitempty" doc:"Header fields of the sign-in alone, in the place of configured ones of the same name."`
	Before            *FirstRequest `json:"before,omitempty" doc:"The first request of a sign-in chain: it gets what the sign-in has to send along."`
	Values            []SignInValue `json:"values,omitempty" doc:"What to take from the answer to the sign-in itself, for {{signin.NAME}} in all that follows."`
	SignOut           *SignOut      `json:"signOut,omitempty" doc:"How the application is told that a session is not needed any more."`
}

// Ping is the request by which Test, and later the health check, tells whether
// the connection works.
type Ping struct {
	Method        string   `json:"method,omitempty" doc:"GET (default), POST, PUT or HEAD."`
	URI           string   `json:"uri,omitempty" doc:"Relative to the base URI. Left out: Test checks the sign-in alone."`
	Body          string   `json:"body,omitempty" doc:"The body of a POST or PUT."`
	SuccessPath   string   `json:"successPath,omitempty" doc:"JSONPath (RFC 9535) or XPath of the value that tells success."`
	SuccessValues []string `json:"successValues,omitempty" doc:"Exact, case-sensitive; any match is a success."`
}

// Connection is a Spec with its secrets in clear text. It lives in memory for
// the length of one request or test, and is never logged or stored as it is.
type Connection struct {
	ID          string // empty for one that is tested before it is saved
	WorkspaceID string
	Spec
	Secrets map[string]string
	// Authorization is the header field by which requests of a session show the
	// token that its sign-in brought. Empty: there is none.
	Authorization string
}

// WithAuthorization is c with the Authorization that a sign-in brought.
func (c *Connection) WithAuthorization(value string) *Connection {
	if value == "" {
		return c
	}
	with := *c
	with.Authorization = value
	return &with
}
