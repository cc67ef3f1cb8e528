package secret

import (
	"bytes"
	"io"
)

// maskingRead is how much is read at a time, in bytes.
const maskingRead = 16 << 10

// masking is a body with the secrets hidden in it, as it streams through. It
// holds back only what could be the beginning of one. Stretches that overlap
// are hidden together.
type masking struct {
	src     io.ReadCloser
	needles [][]byte
	longest int

	buf    []byte // read, and not yet looked at to its end
	hideTo int    // buf[:hideTo] belongs to a secret that has been replaced
	ready  []byte // to be given out
	end    error  // of src
	next   []int  // where each needle comes next in buf; len(buf): nowhere
}

func newMasking(src io.ReadCloser, texts []string) *masking {
	m := &masking{src: src, next: make([]int, len(texts))}
	for _, text := range texts {
		m.needles = append(m.needles, []byte(text))
		m.longest = max(m.longest, len(text))
	}
	return m
}

func (m *masking) Read(p []byte) (int, error) {
	for len(m.ready) == 0 {
		if m.end != nil {
			return 0, m.end
		}
		chunk := make([]byte, maskingRead)
		n, err := m.src.Read(chunk)
		m.buf, m.end = append(m.buf, chunk[:n]...), err
		m.look()
	}
	n := copy(p, m.ready)
	m.ready = m.ready[n:]
	return n, nil
}

func (m *masking) Close() error { return m.src.Close() }

// look moves from buf to ready what can be judged: every secret that begins
// there lies in buf whole.
func (m *masking) look() {
	limit := len(m.buf)
	if m.end == nil {
		limit = max(limit-m.longest+1, 0)
	}
	for i := range m.next {
		m.next[i] = -1
	}
	for at := 0; at < limit; {
		from, to := m.find(at)
		if from >= limit {
			m.show(at, limit)
			break
		}
		m.show(at, from)
		if from >= m.hideTo {
			m.ready = append(m.ready, hidden...)
		}
		m.hideTo = max(m.hideTo, to)
		at = from + 1
	}
	m.buf = append(m.buf[:0], m.buf[limit:]...)
	m.hideTo = max(m.hideTo-limit, 0)
}

// show gives out buf[from:to], but for what is hidden.
func (m *masking) show(from, to int) {
	if from = max(from, m.hideTo); from < to {
		m.ready = append(m.ready, m.buf[from:to]...)
	}
}

// find is the first stretch from at on that holds a needle, the longest one
// that begins there. Each needle is looked for once in all of buf, however
// often it is there.
func (m *masking) find(at int) (from, to int) {
	from = len(m.buf)
	for i, needle := range m.needles {
		if m.next[i] < at {
			m.next[i] = len(m.buf)
			if j := bytes.Index(m.buf[at:], needle); j >= 0 {
				m.next[i] = at + j
			}
		}
		if m.next[i] < from {
			from, to = m.next[i], 0
		}
		if m.next[i] == from {
			to = max(to, from+len(needle))
		}
	}
	return from, to
}
