package recording

import (
	"net/url"
	"strings"

	"sallyport/relay/connection"
)

// FromCurl makes a draft from a curl command, as browsers copy it for bash and
// for Windows' command line, and as API guides print it.
func FromCurl(text string) (Draft, error) {
	if len(text) > maxCommand {
		return Draft{}, tooLong(len(text), maxCommand, "Copy the login request alone.")
	}
	words, err := curlWords(text)
	if err != nil {
		return Draft{}, err
	}
	c := command{request: request{method: "GET"}}
	if err := c.read(words); err != nil {
		return Draft{}, err
	}
	r, err := c.finish()
	if err != nil {
		return Draft{}, err
	}
	return c.draft.of(r), nil
}

func curlWords(text string) ([]string, error) {
	if isForCmd(text) {
		return cmdWords(text)
	}
	// A prompt that was copied along is no word.
	text = strings.TrimPrefix(strings.TrimPrefix(text, "$ "), "> ")
	return shellWords(strings.ReplaceAll(text, "\r\n", "\n"))
}

// command is a curl command that is being read.
type command struct {
	request
	draft   Draft
	address string
	named   string // the method that -X names
	data    []string
	query   bool // -G: the data goes into the URI
	json    bool
	form    []string // of -F
	cookie  string
}

// valued are curl's options that take a value and mean nothing to a connection,
// with what to do about them; "" is left out without a word.
var valued = map[string]string{
	"--output": "", "--write-out": "", "--max-time": "", "--connect-timeout": "", "--retry": "", "--retry-delay": "", "--retry-max-time": "",
	"--cookie-jar": "", "--dump-header": "", "--limit-rate": "", "--keepalive-time": "", "--trace": "", "--trace-ascii": "", "--stderr": "",
	"--speed-limit": "", "--speed-time": "", "--max-redirs": "", "--max-filesize": "", "--ciphers": "", "--tls13-ciphers": "", "--tls-max": "",
	"--config": "", "--range": "", "--interface": "", "--local-port": "", "--dns-servers": "", "--happy-eyeballs-timeout-ms": "", "--expect100-timeout": "",
	"--curves": "", "--output-dir": "", "--etag-save": "", "--etag-compare": "", "--alt-svc": "", "--hsts": "", "--netrc-file": "", "--capath": "",
	"--proto": "", "--proto-default": "", "--proto-redir": "", "--time-cond": "", "--upload-file": "", "--variable": "", "--url-query": "",
	"--proxy":           "which way leads to the application is set at the relay or, on-premise, at the agent",
	"--proxy-user":      "a proxy's credentials are set at the relay or, on-premise, at the agent",
	"--noproxy":         "proxies are set at the relay or, on-premise, at the agent",
	"--preproxy":        "proxies are set at the relay or, on-premise, at the agent",
	"--socks5":          "proxies are set at the relay or, on-premise, at the agent",
	"--socks5-hostname": "proxies are set at the relay or, on-premise, at the agent",
	"--resolve":         "names are resolved where the request is sent from; on-premise, that is the agent's machine",
	"--connect-to":      "names are resolved where the request is sent from; on-premise, that is the agent's machine",
	"--cacert":          "trusted authorities are set on the machine that sends; see sallyport-agent trust",
	"--cert":            "client certificates are set in agent.yaml, under clientCertificates",
	"--key":             "client certificates are set in agent.yaml, under clientCertificates",
	"--pass":            "client certificates are set in agent.yaml, under clientCertificates",
	"--cert-type":       "", "--key-type": "",
	"--unix-socket": "a connection reaches an application by its address",
	"--aws-sigv4":   "signatures of AWS are not among the authentication types",
}

// long are the names of curl's short options that take a value.
var long = map[byte]string{
	'X': "--request", 'H': "--header", 'd': "--data", 'b': "--cookie", 'u': "--user", 'A': "--user-agent", 'e': "--referer", 'F': "--form",
	'o': "--output", 'w': "--write-out", 'm': "--max-time", 'c': "--cookie-jar", 'D': "--dump-header", 'x': "--proxy", 'U': "--proxy-user",
	'E': "--cert", 'T': "--upload-file", 'K': "--config", 'r': "--range", 'y': "--speed-time", 'Y': "--speed-limit", 'z': "--time-cond",
	't': "--telnet-option", 'C': "--continue-at", 'P': "--ftp-port", 'Q': "--quote",
}

// flags are curl's short options without a value that mean something here.
var flags = map[byte]string{'G': "--get", 'I': "--head", 'k': "--insecure"}

func (c *command) read(words []string) error {
	for i := 0; i < len(words); i++ {
		word := words[i]
		next := func() string {
			if i+1 < len(words) {
				i++
				return words[i]
			}
			return ""
		}
		switch {
		case word == "--next" || word == "-:":
			c.draft.note(LeftOut, "The requests after --next: a draft is made of the first.")
			return nil
		case word == "--":
		case strings.HasPrefix(word, "--"):
			if err := c.option(word, next); err != nil {
				return err
			}
		case len(word) > 1 && word[0] == '-':
			// Several may stand together, and a value may follow at once: -sXPOST.
			for j := 1; j < len(word); j++ {
				name, takes := long[word[j]]
				if !takes {
					if name = flags[word[j]]; name != "" {
						if err := c.option(name, nil); err != nil {
							return err
						}
					}
					continue
				}
				value := next
				if rest := word[j+1:]; rest != "" {
					value = func() string { return rest }
				}
				if err := c.option(name, value); err != nil {
					return err
				}
				break
			}
		case c.address == "":
			c.address = word
		default:
			c.draft.note(LeftOut, "A second address, %s: a draft is made of the first.", shorten(word, 60))
		}
	}
	return nil
}

// option reads one option by its long name.
func (c *command) option(name string, value func() string) error {
	switch name {
	case "--url":
		c.address = value()
	case "--request":
		c.named = strings.ToUpper(strings.TrimSpace(value()))
	case "--header":
		c.headerLine(value())
	case "--user-agent":
		c.headerLine("User-Agent: " + value())
	case "--referer":
		c.headerLine("Referer: " + value())
	case "--cookie":
		if text := value(); strings.Contains(text, "=") {
			c.cookie = text
		} // else it names a file of cookies
	case "--data", "--data-ascii", "--data-binary":
		text := value()
		if strings.HasPrefix(text, "@") {
			c.draft.note(LeftOut, "The body is in the file %s, which is not read. Paste its content as the body.", shorten(text[1:], 60))
			return nil
		}
		c.data = append(c.data, text)
	case "--data-raw":
		c.data = append(c.data, value())
	case "--data-urlencode":
		c.data = append(c.data, c.urlEncoded(value()))
	case "--json":
		c.json = true
		c.data = append(c.data, value())
	case "--form", "--form-string":
		c.form = append(c.form, value())
	case "--user":
		c.user, c.scheme = value(), orElse(c.scheme, "basic")
	case "--oauth2-bearer":
		c.bearer = value()
	case "--basic":
		c.scheme = "basic"
	case "--digest":
		c.scheme = "digest"
	case "--ntlm", "--negotiate", "--anyauth":
		c.draft.note(LeftOut, "%s: it is not among the authentication types.", name)
	case "--get":
		c.query = true
	case "--head":
		c.method = "HEAD"
	case "--insecure":
		c.draft.note(LeftOut, "--insecure: certificates are always checked. On-premise, the agent's site can pin this one by `sallyport-agent trust`.")
	default:
		reason, takes := valued[name]
		if takes && value != nil {
			text := value()
			if reason != "" {
				c.draft.note(LeftOut, "%s %s: %s.", name, shorten(text, 40), reason)
			}
		}
	}
	return nil
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (c *command) headerLine(line string) {
	name, value, found := strings.Cut(line, ":")
	if !found { // "X-Empty;" sends an empty field, "@file" reads one
		return
	}
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	switch {
	case name == "":
	case strings.EqualFold(name, "Cookie"):
		c.cookie = value
	default:
		c.header = append(c.header, connection.Header{Name: name, Value: value})
	}
}

// urlEncoded is what --data-urlencode sends: the name as it is, the content
// after the first equals sign encoded.
func (c *command) urlEncoded(text string) string {
	name, content, found := strings.Cut(text, "=")
	switch {
	case !found && strings.Contains(text, "@"):
		c.draft.note(LeftOut, "The value of a field is in a file, which is not read: %s.", shorten(text, 60))
		name, _, _ = strings.Cut(text, "@")
		return name + "="
	case !found:
		return escapeForm(text)
	case name == "":
		return escapeForm(content)
	}
	return name + "=" + escapeForm(content)
}

// escapeForm escapes a value of a form, but for placeholders: they are escaped
// as they are filled in.
func escapeForm(text string) string {
	var b strings.Builder
	for text != "" {
		i := strings.Index(text, "{{secret.")
		if i < 0 {
			break
		}
		end := strings.Index(text[i:], "}}")
		if end < 0 {
			break
		}
		b.WriteString(url.QueryEscape(text[:i]) + text[i:i+end+2])
		text = text[i+end+2:]
	}
	return b.String() + url.QueryEscape(text)
}

// finish is the request that the options come to.
func (c *command) finish() (*request, error) {
	if c.address == "" {
		return nil, unreadable("The command names no address. Copy it whole, with its URL.")
	}
	address := c.address
	if !strings.Contains(address, "://") {
		address = "http://" + address // as curl does
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, unreadable("“%s” is not an address that begins with http:// or https:// and names a host.", shorten(c.address, 80))
	}
	if u.User != nil {
		password, _ := u.User.Password()
		c.user, c.scheme, u.User = u.User.Username()+":"+password, "basic", nil
	}
	u.Fragment, u.RawFragment = "", ""
	c.url = u
	c.body = strings.Join(c.data, "&")
	if c.json {
		c.body = strings.Join(c.data, "")
	}
	if len(c.form) > 0 {
		c.multipart()
	}
	switch {
	case c.query:
		if u.RawQuery != "" && c.body != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += c.body
		c.body = ""
	case c.body != "" && c.method == "GET":
		c.method = "POST"
		if field(c.header, "Content-Type") == "" {
			kind := "application/x-www-form-urlencoded"
			if c.json {
				kind = "application/json"
			}
			c.header = append(c.header, connection.Header{Name: "Content-Type", Value: kind})
		}
	}
	if c.named != "" {
		c.method = c.named
	}
	if c.cookie != "" {
		c.header = append(c.header, connection.Header{Name: "Cookie", Value: c.cookie})
	}
	return &c.request, nil
}

// multipart writes the fields of -F as a form that a connection can send.
func (c *command) multipart() {
	var fields []string
	for _, f := range c.form {
		name, value, _ := strings.Cut(f, "=")
		if strings.HasPrefix(value, "@") || strings.HasPrefix(value, "<") {
			c.draft.note(LeftOut, "The field %s: files are not sent by a sign-in or a ping.", shorten(name, 40))
			continue
		}
		fields = append(fields, url.QueryEscape(name)+"="+escapeForm(value))
	}
	c.body = strings.Join(fields, "&")
	c.header = append(c.header, connection.Header{Name: "Content-Type", Value: "application/x-www-form-urlencoded"})
	c.draft.note(Check, "The command sends its fields as multipart/form-data; the draft sends them URL encoded, which most applications take as well.")
}

// shorten cuts a text for a sentence.
func shorten(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}
