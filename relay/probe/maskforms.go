package probe

import "sallyport/internal/escape"

// add hides s, for which a shell variable is to stand in commands, in every form in which it may be written, also where a form is
// quoted once more: an echo of a JSON body within JSON.
func (m *mask) add(s, variable string) {
	if s == "" || m.names[s] != "" {
		return
	}
	for _, form := range escape.Nested(s) {
		if m.names[form] == "" {
			m.names[form] = variable
			m.needles = append(m.needles, form)
		}
	}
}
