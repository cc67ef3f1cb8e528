package trust

import (
	"bytes"
	"crypto/x509"
	"runtime"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"
)

func TestClientCertificates(t *testing.T) {
	own, lab := selfSigned(t, "own"), selfSigned(t, "lab")
	between := selfSigned(t, "between")
	pfx, err := pkcs12.Modern.Encode(lab.PrivateKey, lab.Leaf, []*x509.Certificate{between.Leaf}, "hüsh 1")
	if err != nil {
		t.Fatal(err)
	}
	old, err := pkcs12.LegacyDES.Encode(lab.PrivateKey, lab.Leaf, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := New("", []Client{
		{Host: "erp.test:8443", CertFile: write(t, "own.pem", certPEM(own), 0o644), KeyFile: write(t, "own.key", keyPEM(t, own), 0o600)},
		{Host: "*.lab.test", PFXFile: write(t, "lab.pfx", pfx, 0o600), PasswordFile: write(t, "lab.password", []byte("hüsh 1\n"), 0o600)},
		{Host: "old.test", PFXFile: write(t, "old.pfx", old, 0o600)},
		{Host: "*", CertFile: write(t, "own.pem", certPEM(own), 0o644), KeyFile: write(t, "own.key", keyPEM(t, own), 0o600)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string][][]byte{
		"erp.test": own.Certificate, "a.lab.test": {lab.Certificate[0], between.Certificate[0]}, "old.test": lab.Certificate, "other.test": own.Certificate,
	} {
		got := hosts.TLS(host, "8443").Certificate
		if got == nil || len(got.Certificate) != len(want) || !bytes.Equal(bytes.Join(got.Certificate, nil), bytes.Join(want, nil)) || got.PrivateKey == nil {
			t.Errorf("%s is shown %v", host, got)
		}
	}
	if hosts.TLS("erp.test", "8443").Certificate == hosts.TLS("other.test", "8443").Certificate {
		t.Error("the first that fits is not shown")
	}
}

func TestClientCertificatesThatCannotBeUsed(t *testing.T) {
	own, other := selfSigned(t, "own"), selfSigned(t, "other")
	pfx, err := pkcs12.Modern.Encode(own.PrivateKey, own.Leaf, nil, "hush")
	if err != nil {
		t.Fatal(err)
	}
	cert, key := write(t, "own.pem", certPEM(own), 0o644), write(t, "own.key", keyPEM(t, own), 0o600)
	open := write(t, "own.key", keyPEM(t, own), 0o644)
	for name, test := range map[string]struct {
		client Client
		want   string
	}{
		"no files":             {Client{Host: "a"}, "expected either certFile and keyFile, or pfxFile"},
		"no key":               {Client{Host: "a", CertFile: cert}, "expected either"},
		"both":                 {Client{Host: "a", CertFile: cert, KeyFile: key, PFXFile: cert}, "expected either"},
		"no host":              {Client{CertFile: cert, KeyFile: key}, "is no host"},
		"password of a PEM":    {Client{Host: "a", CertFile: cert, KeyFile: key, PasswordFile: key}, "passwordFile is for a pfxFile"},
		"absent":               {Client{Host: "a", CertFile: "/nonexistent", KeyFile: key}, "certFile: open /nonexistent"},
		"key of another":       {Client{Host: "a", CertFile: cert, KeyFile: write(t, "k", keyPEM(t, other), 0o600)}, "private key does not match"},
		"encrypted key":        {Client{Host: "a", CertFile: cert, KeyFile: write(t, "k", []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), 0o600)}, "has a password"},
		"another password":     {Client{Host: "a", PFXFile: write(t, "p", pfx, 0o600), PasswordFile: write(t, "w", []byte("wrong"), 0o600)}, "the password of"},
		"no PFX":               {Client{Host: "a", PFXFile: write(t, "p", []byte("x"), 0o600)}, "pfxFile: "},
		"key that others read": {Client{Host: "a", CertFile: cert, KeyFile: open}, "chmod 600 " + open},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(test.want, "chmod") && runtime.GOOS == "windows" {
				t.Skip("modes say nothing on Windows")
			}
			_, err := New("", []Client{test.client})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "clientCertificates: the 1st") || strings.Contains(err.Error(), "hush") {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
