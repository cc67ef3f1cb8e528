package egress

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// maxAnswer bounds what is read of an answer: its header, and the body of a
// refusal.
const maxAnswer = 64 << 10

// proxyConn is a connection to a proxy that has not let through yet.
type proxyConn struct {
	net.Conn
	release func() bool
	asked   int // times
	limit   *io.LimitedReader
	answers *bufio.Reader
}

// ask asks for a connection to addr.
func (p *proxyConn) ask(addr, authorization string) (*http.Response, error) {
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{
		"User-Agent":       {"sallyport-agent"},
		"Proxy-Connection": {"Keep-Alive"}, // not in any RFC; some proxies keep the connection for it alone
	}}
	if authorization != "" {
		req.Header.Set("Proxy-Authorization", authorization)
	}
	p.asked++
	if err := req.Write(p.Conn); err != nil {
		return nil, fmt.Errorf("ask: %w", err)
	}
	if p.answers == nil {
		p.limit = &io.LimitedReader{R: p.Conn}
		p.answers = bufio.NewReaderSize(p.limit, 4<<10)
	}
	p.limit.N = maxAnswer
	resp, err := http.ReadResponse(p.answers, req)
	if err != nil {
		return nil, fmt.Errorf("read its answer: %w", err)
	}
	return resp, nil
}

// drain reads a refusal's body, and reports whether the connection can be asked
// again.
func (p *proxyConn) drain(resp *http.Response) (body string, kept bool) {
	raw, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return string(raw), err == nil && !resp.Close
}

func (p *proxyConn) close() {
	p.release()
	_ = p.Close()
}

// excerpt is what a page of a proxy says, for a line of a log.
func excerpt(body string) string {
	var text strings.Builder
	for rest := body; rest != ""; {
		before, tag, found := strings.Cut(rest, "<")
		text.WriteString(before + " ")
		if !found {
			break
		}
		_, rest, _ = strings.Cut(tag, ">")
		for _, silent := range []string{"style", "script"} {
			if strings.HasPrefix(strings.ToLower(tag), silent) {
				if _, after, ok := strings.Cut(rest, "</"+silent); ok {
					_, rest, _ = strings.Cut(after, ">")
				}
			}
		}
	}
	return printable([]byte(strings.Join(strings.Fields(text.String()), " ")))
}
