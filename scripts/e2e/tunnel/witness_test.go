package tunnel

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// witness is an application that knows of each request, by its id, how often
// it came and how much of it. It listens to its connections too: a request of
// which only a part arrived is one that arrived.
type witness struct {
	*httptest.Server
	mu   sync.Mutex // guards the following
	seen map[string]sight
}

// sight is what the witness saw of a request.
type sight struct {
	begun  int // how often a request line came
	whole  int // how often the whole of it, body included
	served int // how often it was served to the end
}

func newWitness(t *testing.T) *witness {
	t.Helper()
	w := &witness{seen: map[string]sight{}}
	w.Server = httptest.NewUnstartedServer(w)
	w.Listener = overhearing{w.Listener, w}
	w.Start()
	t.Cleanup(w.Close)
	return w
}

// path is the path of a request with an id, a body of so many bytes, and an
// answer of so many.
func (w *witness) path(id string, body, answer int) string {
	return fmt.Sprintf("%s/seen/%s/%d/%d", w.URL, id, body, answer)
}

// answerByte is what the answer to a request consists of.
func answerByte(id string) byte { return 'a' + id[len(id)-1]%26 }

func (w *witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/")
	id := parts[2]
	want, _ := strconv.ParseInt(parts[3], 10, 64)
	size, _ := strconv.Atoi(parts[4])
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil || n != want {
		return
	}
	w.note(id, func(s *sight) { s.whole++ })
	if size%2 == 0 {
		rw.Header().Set("Content-Length", strconv.Itoa(size))
	}
	if _, err := rw.Write([]byte(strings.Repeat(string(answerByte(id)), size))); err != nil {
		return
	}
	w.note(id, func(s *sight) { s.served++ })
}

func (w *witness) note(id string, change func(*sight)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.seen[id]
	change(&s)
	w.seen[id] = s
}

// saw is all that it saw.
func (w *witness) saw() map[string]sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.seen)
}

// overhearing is the listener whose connections are overheard.
type overhearing struct {
	net.Listener
	w *witness
}

func (o overhearing) Accept() (net.Conn, error) {
	c, err := o.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &overheard{Conn: c, w: o.w}, nil
}

// overheard looks for request lines in what arrives. Bodies are without any.
type overheard struct {
	net.Conn
	w    *witness
	tail []byte // the end of what came last, which may be half a request line
}

var requestLine = regexp.MustCompile(`/seen/([0-9a-z-]+)/`)

func (o *overheard) Read(p []byte) (int, error) {
	n, err := o.Conn.Read(p)
	heard := append(o.tail, p[:n]...)
	end := 0
	for _, at := range requestLine.FindAllSubmatchIndex(heard, -1) {
		o.w.note(string(heard[at[2]:at[3]]), func(s *sight) { s.begun++ })
		end = at[1]
	}
	o.tail = append([]byte(nil), heard[max(end, len(heard)-64):]...)
	return n, err
}
