package edge

import (
	"bufio"
	"net"
	"net/http"
)

// observed notes what was answered, for the access log. It hides nothing of
// the writer: streaming handlers flush through Unwrap, tunnels hijack.
type observed struct {
	http.ResponseWriter
	code        int
	bytes       int64
	wroteHeader bool
	hijacked    bool
}

func (o *observed) WriteHeader(code int) {
	if code >= 200 && !o.wroteHeader {
		o.code, o.wroteHeader = code, true
	}
	o.ResponseWriter.WriteHeader(code)
}

func (o *observed) Write(p []byte) (int, error) {
	o.implied()
	n, err := o.ResponseWriter.Write(p)
	o.bytes += int64(n)
	return n, err
}

// Flush serves those who ask for an http.Flusher instead of a controller.
func (o *observed) Flush() {
	o.implied()
	_ = http.NewResponseController(o.ResponseWriter).Flush() // an error shows at the next write
}

// Hijack hands the connection over, for tunnels.
func (o *observed) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(o.ResponseWriter).Hijack()
	if err == nil {
		o.hijacked, o.code = true, http.StatusSwitchingProtocols
	}
	return conn, rw, err
}

func (o *observed) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// implied notes the 200 that a first write stands for.
func (o *observed) implied() {
	if !o.wroteHeader {
		o.code, o.wroteHeader = http.StatusOK, true
	}
}

func (o *observed) status() int {
	if o.code == 0 {
		return http.StatusOK
	}
	return o.code
}
