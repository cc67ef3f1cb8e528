package hub

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"sallyport/internal/mux"
)

// chunk is the buffer through which a body is sent: one frame of a stream.
type chunk [mux.Chunk]byte

// inlineBody is the longest body that leaves in one piece with its header.
const inlineBody = 16 << 10

// upload is the body of a request on its way down.
type upload struct {
	body    io.ReadCloser // nil: there is none
	length  int64         // -1: unknown, sent in chunks
	getBody func() (io.ReadCloser, error)
	trailer http.Header // of a body of unknown length; its values are there at its end
	touched bool        // reading has begun
	sent    atomic.Bool // all of it has left

	mu  sync.Mutex // guards the following
	err error      // why the body could not be read to its end
}

func newUpload(req *http.Request) *upload {
	u := &upload{body: req.Body, length: req.ContentLength, getBody: req.GetBody, trailer: req.Trailer}
	switch {
	case req.Body == nil || req.Body == http.NoBody:
		u.body, u.length = nil, 0
	case req.ContentLength == 0:
		u.length = -1 // as in net/http: a body without a length
	}
	return u
}

// inline reports whether the body is short and in memory, so that reading it
// at once delays nothing.
func (u *upload) inline() bool {
	return u.body == nil || u.getBody != nil && u.length >= 0 && u.length <= inlineBody
}

// again returns the body anew, for one more attempt. The goroutine of the
// previous attempt may still hold the old one.
func (u *upload) again() (*upload, error) {
	if u.body == nil || !u.touched {
		return u, nil
	}
	if u.getBody == nil {
		return nil, errors.New("the body can't be had again")
	}
	body, err := u.getBody()
	if err != nil {
		return nil, fmt.Errorf("get the body again: %w", err)
	}
	return &upload{body: body, length: u.length, getBody: u.getBody, trailer: u.trailer}, nil
}

// close closes a body that nobody has begun to read. The goroutine that reads
// it closes it otherwise.
func (u *upload) close() {
	if u.body != nil && !u.touched {
		_ = u.body.Close()
	}
}

// failed notes why the body could not be read.
func (u *upload) failed(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err == nil {
		u.err = err
	}
}

func (u *upload) failure() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// hopByHop are the fields that describe a single connection (RFC 9110, section
// 7.6.1), and those that frame the message: a stream has its own.
var hopByHop = map[string]bool{
	"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Trailer": true, "Connection": true,
	"Keep-Alive": true, "Proxy-Connection": true, "Te": true, "Upgrade": true, "Expect": true,
}

// header appends the request line and the header to b: an HTTP/1.1 request in
// absolute form.
func (u *upload) header(b *bytes.Buffer, req *http.Request) error {
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	b.WriteString(method)
	b.WriteByte(' ')
	b.WriteString(req.URL.Scheme)
	b.WriteString("://")
	b.WriteString(req.URL.Host)
	b.WriteString(req.URL.RequestURI())
	b.WriteString(" HTTP/1.1\r\nHost: ")
	b.WriteString(host)
	b.WriteString("\r\n")
	// What holds a line break here would be another request on the wire.
	if bytes.Count(b.Bytes(), []byte{'\n'}) != 2 || bytes.Count(b.Bytes(), []byte{'\r'}) != 2 {
		return errors.New("line break in method, URL or host")
	}
	switch {
	case u.length < 0:
		b.WriteString("Transfer-Encoding: chunked\r\n")
		for name := range u.trailer { // so that the agent announces them in turn
			b.WriteString("Trailer: " + name + "\r\n")
		}
	case u.length > 0 || method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch:
		b.WriteString("Content-Length: ")
		b.Write(strconv.AppendInt(b.AvailableBuffer(), u.length, 10))
		b.WriteString("\r\n")
	}
	if err := req.Header.WriteSubset(b, hopByHop); err != nil { // replaces line breaks in values
		return err
	}
	b.WriteString("\r\n")
	return nil
}

// inlineInto appends the whole body to b.
func (u *upload) inlineInto(b *bytes.Buffer) error {
	if u.body == nil {
		return nil
	}
	u.touched = true
	defer u.body.Close()
	n, err := io.Copy(b, io.LimitReader(u.body, u.length+1))
	if err == nil && n != u.length {
		err = fmt.Errorf("body is not of the %d bytes that were announced", u.length)
	}
	return err
}

// stream sends the body as it comes: what has been read leaves before more is
// read. It closes the body. An error of the body itself is noted with failed.
func (u *upload) stream(w io.Writer, buffer *chunk) error {
	defer u.body.Close()
	if u.length < 0 {
		return u.streamChunks(w, buffer)
	}
	left := u.length
	for left > 0 {
		n, err := u.body.Read(buffer[:min(int64(len(buffer)), left)])
		left -= int64(n)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if err != nil && left > 0 {
			if err == io.EOF {
				err = fmt.Errorf("body ended %d bytes early: %w", left, io.ErrUnexpectedEOF)
			}
			u.failed(err)
			return err
		}
	}
	return nil
}

// chunkHead is the room for a chunk's length in hexadecimal digits and the line
// break: mux.Chunk is under 0x10000.
const chunkHead = 6

// streamChunks sends a body of unknown length in chunks (RFC 9112, section
// 7.1), each of them one frame.
func (u *upload) streamChunks(w io.Writer, buffer *chunk) error {
	for {
		n, readErr := u.body.Read(buffer[chunkHead : len(buffer)-2])
		if n > 0 {
			head := fmt.Appendf(make([]byte, 0, chunkHead), "%04x\r\n", n)
			copy(buffer[:], head)
			end := chunkHead + n
			buffer[end], buffer[end+1] = '\r', '\n'
			if _, err := w.Write(buffer[:end+2]); err != nil {
				return err
			}
		}
		if readErr == io.EOF {
			return u.endChunks(w)
		}
		if readErr != nil {
			u.failed(readErr)
			return readErr
		}
	}
}

// endChunks writes the last chunk and the trailer (RFC 9112, section 7.1.2).
func (u *upload) endChunks(w io.Writer) error {
	if len(u.trailer) == 0 {
		_, err := io.WriteString(w, "0\r\n\r\n")
		return err
	}
	var end bytes.Buffer
	end.WriteString("0\r\n")
	if err := u.trailer.Write(&end); err != nil { // replaces line breaks in values
		return err
	}
	end.WriteString("\r\n")
	_, err := w.Write(end.Bytes())
	return err
}
