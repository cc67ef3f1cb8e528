package egress

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sallyport/agent/egress"
	"sallyport/internal/testkit"
)

// realm is a Kerberos realm with a KDC of its own.
type realm struct {
	dir  string
	conf string   // krb5.conf
	env  []string // for MIT's programs
}

const (
	realmName = "PLANT.TEST"
	// Kerberos names services by host name, and this one every machine has.
	kerberosProxy = "localhost"
)

// startRealm starts a KDC that knows the user, and the proxy as a service.
func startRealm(t *testing.T) *realm {
	t.Helper()
	kdc, create := testkit.Program(t, "krb5kdc", "/usr/sbin/krb5kdc"), testkit.Program(t, "kdb5_util", "/usr/sbin/kdb5_util")
	admin := testkit.Program(t, "kadmin.local", "/usr/sbin/kadmin.local")
	r := &realm{dir: testkit.SquidDir(t)}
	address := fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))
	r.conf = write(t, r.dir, "ht-krb5.conf", fmt.Sprintf(`[libdefaults]
default_realm = %[1]s
dns_lookup_kdc = false
rdns = false
[realms]
%[1]s = {
	kdc = %[2]s
}
[domain_realm]
%[3]s = %[1]s
`, realmName, address, kerberosProxy))
	profile := write(t, r.dir, "ht-kdc.conf", fmt.Sprintf(`[kdcdefaults]
kdc_listen = %[2]s
kdc_tcp_listen = %[2]s
[realms]
%[1]s = {
	database_name = %[3]s/principal
	key_stash_file = %[3]s/stash
	acl_file = %[3]s/acl
}
`, realmName, address, r.dir))
	r.env = []string{"KRB5_CONFIG=" + r.conf, "KRB5_KDC_PROFILE=" + profile}
	r.run(t, create, "create", "-s", "-r", realmName, "-P", "master key of a test")
	r.run(t, admin, "-r", realmName, "-q", "addprinc -pw "+password+" "+user)
	service := "HTTP/" + kerberosProxy
	r.run(t, admin, "-r", realmName, "-q", "addprinc -randkey "+service)
	r.run(t, admin, "-r", realmName, "-q", "ktadd -k "+r.file("service.keytab")+" "+service)
	r.run(t, admin, "-r", realmName, "-q", "ktadd -norandkey -k "+r.file("user.keytab")+" "+user)
	if err := os.Chmod(r.file("service.keytab"), 0o644); err != nil { // squid's user reads it
		t.Fatal(err)
	}
	testkit.Start(t, testkit.ProcessOptions{Name: "krb5kdc", Path: kdc, Args: []string{"-n", "-r", realmName, "-P", r.file("pid")}, Env: r.env})
	listening(t, "the KDC", address)
	return r
}

func (r *realm) file(name string) string { return filepath.Join(r.dir, name) }

func (r *realm) run(t *testing.T, path string, args ...string) {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), r.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", path, args, err, out)
	}
}

// environment is the agent's, with more variables.
func (r *realm) environment(more map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if name == "KRB5_CONFIG" {
			return r.conf, true
		}
		value, ok := more[name]
		return value, ok
	}
}

// TestKerberosAtSquid: a ticket of a real KDC is shown to a real proxy, whoever
// it was got for.
func TestKerberosAtSquid(t *testing.T) {
	r := startRealm(t)
	target := echo(t)
	squid := testkit.StartSquid(t, testkit.SquidOptions{
		Env: r.env,
		Config: append([]string{
			"auth_param negotiate program " + testkit.SquidHelper(t, "negotiate_kerberos_auth") +
				" -k " + r.file("service.keytab") + " -s HTTP/" + kerberosProxy + "@" + realmName,
			"auth_param negotiate children 1 startup=1",
		}, rules(target.Port())...),
		Hosts: hosts,
	})
	_, port, _ := net.SplitHostPort(squid.Address)
	proxy := &url.URL{Scheme: "http", Host: kerberosProxy + ":" + port}
	kinit := testkit.Program(t, "kinit")
	cache := filepath.Join(t.TempDir(), "tickets")
	r.run(t, kinit, "-k", "-t", r.file("user.keytab"), "-c", cache, user)

	for name, o := range map[string]egress.Options{
		"with a password":       {User: user + "@" + realmName, PasswordFile: passwordFile(t, password), Env: r.environment(nil)},
		"with a keytab":         {User: user, Keytab: r.file("user.keytab"), Env: r.environment(nil)},
		"with a cached ticket":  {Env: r.environment(map[string]string{"KRB5CCNAME": "FILE:" + cache})},
		"with the realm beside": {User: user, Domain: realmName, PasswordFile: passwordFile(t, password), Env: r.environment(nil)},
	} {
		o.Proxy = proxy.String()
		if err := reach(t, o, target); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	served(t, squid, fmt.Sprintf("%s@%s CONNECT %s 200", user, realmName, target.Host))

	o := egress.Options{Proxy: proxy.String(), Env: r.environment(map[string]string{"KRB5CCNAME": r.file("none")})}
	fault(t, reach(t, o, target), egress.FaultProxyAuth, "it offers Negotiate", "set proxyUser and proxyPasswordFile", "there is no ticket")
	// Without a ticket NTLM is offered in its place, which this proxy refuses.
	o.User, o.PasswordFile = user, passwordFile(t, "wr0ng")
	fault(t, reach(t, o, target), egress.FaultProxyAuth, `refuses the login of the user "svc" with Negotiate`,
		"no Kerberos login as svc in "+realmName)
	o.User, o.PasswordFile, o.Keytab = user, "", r.file("service.keytab")
	fault(t, reach(t, o, target), egress.FaultProxyAuth, "Negotiate: no Kerberos login as svc in "+realmName)
}
