package probe

import "sallyport/internal/escape"

// add hides s in every form in which it may be written, also where a form is
// quoted once more: an echo of a JSON body within JSON.
func (m *mask) add(s string) {
	if s == "" || m.known[s] {
		return
	}
	for _, form := range escape.Nested(s) {
		if !m.known[form] {
			m.known[form] = true
			m.needles = append(m.needles, form)
		}
	}
}
