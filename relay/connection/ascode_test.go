package connection

import (
	"strings"
	"testing"
)

func TestKeyAndMarkOfAConnectionKeptAsCode(t *testing.T) {
	for _, c := range []struct {
		name, key, mark, path string
	}{
		{"neither", "", "", ""},
		{"both", "plant2-erp", "git.example.com/acme/relay", ""},
		{"blanks around", " plant2.erp_1 ", " acme ", ""},
		{"digit first", "2erp", "", ""},
		{"capitals", "ERP", "", ""},
		{"blank within", "plant 2", "", "key"},
		{"hyphen first", "-erp", "", "key"},
		{"not ASCII", "größe", "", "key"},
		{"slash", "a/b", "", "key"},
		{"as long as may be", strings.Repeat("k", MaxKey), strings.Repeat("é", MaxManagedBy), ""},
		{"longer", strings.Repeat("k", MaxKey+1), "", "key"},
		{"mark longer", "", strings.Repeat("é", MaxManagedBy+1), "managedBy"},
		{"mark with a line break", "", "a\nb", "managedBy"},
		{"mark not UTF-8", "", "\xff", "managedBy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := Spec{Name: "ERP", Mode: Cloud, BaseURI: "https://erp.example", Auth: Auth{Type: AuthNone}, Key: c.key, ManagedBy: c.mark}
			invalid := Validate(Defaults(spec), nil)
			switch {
			case c.path == "" && invalid != nil:
				t.Error(invalid)
			case c.path != "" && (invalid == nil || len(invalid.Fields) != 1 || invalid.Fields[0].Path != c.path):
				t.Errorf("got %v, want a fault of %s", invalid, c.path)
			}
		})
	}
}
