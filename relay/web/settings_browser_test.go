package web_test

import "testing"

func TestAFaultyFieldOfATokenHasTheFocusInABrowser(t *testing.T) {
	r := newRig(t)
	tb := r.tab()
	tb.Look(390, "dark")
	tb.signIn(r)
	tb.Open("/settings")
	tb.Press(`form[action^="/settings/tokens"] .button`)
	tb.WaitFor(`document.getElementById("e-token-name").textContent !== ""`)
	tb.WaitFor(`document.activeElement.id === "f-token-name"`)
}
