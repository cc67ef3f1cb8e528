package egress

import (
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func secret(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestWhoLogsIn(t *testing.T) {
	for _, c := range []struct {
		user, domain             string
		windows, kerberos, realm string
	}{
		{"svc", "", "svc", "svc", ""},
		{`CORP\svc`, "", `CORP\svc`, "svc", "CORP"},
		{"svc@corp.example", "", "svc@corp.example", "svc", "CORP.EXAMPLE"},
		{"svc", "corp.example", `corp.example\svc`, "svc", "CORP.EXAMPLE"},
	} {
		a, err := (&Egress{opts: Options{User: c.user, Domain: c.domain}}).account(url.UserPassword("other", "x"))
		if err != nil {
			t.Fatal(err)
		}
		user, realm := a.principal()
		if a.name != c.user || a.windows() != c.windows || user != c.kerberos || realm != c.realm || a.hasPassword() {
			t.Errorf("%+v: %+v, %s in %s", c, a, user, realm)
		}
	}
}

func TestPasswordThatOthersCanRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes say nothing on Windows")
	}
	file := secret(t, "s3cret\n")
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o640: true, 0o644: false} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		_, err := New(Options{User: "svc", PasswordFile: file})
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "chmod 600 "+file) {
			t.Errorf("%o: %v", mode, err)
		}
	}
	if _, err := New(Options{User: "svc", PasswordFile: secret(t, "\n")}); err == nil || !strings.Contains(err.Error(), "first line") {
		t.Error(err)
	}
}
