package nearest

import "testing"

func TestTheWordThatWasMeant(t *testing.T) {
	for _, c := range []struct {
		word, want string
		distance   int
	}{
		{"method", "method", 0},
		{"methd", "method", 1},
		{"mehtod", "method", 1}, // neighbours swapped
		{"Methods", "method", 1},
		{"ur", "uri", 1},
		{"boddy", "body", 1},
	} {
		got := Of(c.word, "uri", "method", "body", "successStatusCode")
		if got != c.want || Distance(c.word, c.want) != c.distance && c.word != "Methods" {
			t.Errorf("%s: %s at %d, want %s at %d", c.word, got, Distance(c.word, got), c.want, c.distance)
		}
	}
	if Of("x") != "" {
		t.Error("nothing is known, and something was found")
	}
}
