package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"sallyport/internal/testkit"
)

func loadImage(t *testing.T, program string) v1.Image {
	t.Helper()
	tag, err := name.NewTag(program + ":latest")
	if err != nil {
		t.Fatal(err)
	}
	img, err := tarball.ImageFromPath(file(t, imageName(program, testVersion, "amd64")), &tag)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// unpack writes the files of a tar below dir, and returns their headers.
func unpack(t *testing.T, from io.Reader, dir string) map[string]*tar.Header {
	t.Helper()
	found := map[string]*tar.Header{}
	for r := tar.NewReader(from); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		found[strings.TrimSuffix(h.Name, "/")] = h
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o755)
		} else {
			var data []byte
			if data, err = io.ReadAll(r); err == nil {
				if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
					err = os.WriteFile(path, data, h.FileInfo().Mode())
				}
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestImageOfTheAgentHasWhatItNeedsAndNoPrivileges(t *testing.T) {
	img := loadImage(t, "sallyport-agent")
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c.OS != "linux" || c.Architecture != "amd64" || c.Config.User != "65532:65532" || !c.Created.Equal(testTime) ||
		strings.Join(append(c.Config.Entrypoint, c.Config.Cmd...), " ") != "/usr/bin/sallyport-agent run" || c.Config.Healthcheck == nil {
		t.Errorf("%+v", c)
	}
	root := t.TempDir()
	files := unpack(t, mutate.Extract(img), root)
	if state := files["var/lib/sallyport-agent"]; state == nil || state.Uid != nonroot || state.Mode != 0o700 {
		t.Errorf("the directory of the state: %+v", state)
	}
	certificates, err := os.ReadFile(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt"))
	if n := bytes.Count(certificates, []byte("BEGIN CERTIFICATE")); err != nil || n < 100 {
		t.Errorf("%d authorities, %v", n, err)
	}
	testkit.Root(t)
	// Alone in its image, the program lacks nothing.
	wantParts(t, output(t, "chroot", "--userspec=65532:65532", root, "/usr/bin/sallyport-agent", "version"), testVersion)
}

func TestImageOfTheRelayHasTheDownloads(t *testing.T) {
	img := loadImage(t, "sallyport-relay")
	files := unpack(t, mutate.Extract(img), t.TempDir())
	for _, name := range []string{"usr/bin/sallyport-relay", "usr/share/sallyport-relay/downloads/SHA256SUMS", "usr/share/sallyport-relay/downloads/sallyport-agent-windows-amd64.exe"} {
		if files[name] == nil {
			t.Errorf("lacks %s", name)
		}
	}
}

func TestLayoutForRegistriesIsComplete(t *testing.T) {
	data, err := os.ReadFile(file(t, imageName("sallyport-agent", testVersion, "oci")))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	unpack(t, bytes.NewReader(data), dir)
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 || manifest.Manifests[0].Platform.String() != "linux/amd64" {
		t.Errorf("%+v, %v", manifest, err)
	}
}

func TestBillOfMaterialsNamesEveryModuleOfThePrograms(t *testing.T) {
	text, err := os.ReadFile(file(t, "sallyport-"+testVersion+".cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(text), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, c := range *bom.Components {
		known[c.BOMRef] = true
	}
	in := map[string]string{}
	for _, d := range *bom.Dependencies {
		in[d.Ref] = strings.Join(*d.Dependencies, " ")
		for _, part := range *d.Dependencies {
			if !known[part] {
				t.Errorf("%s is in %s, and nowhere described", part, d.Ref)
			}
		}
	}
	const agent, relay = "sallyport-agent-linux-amd64", "sallyport-relay-windows-amd64"
	if !known[agent] || !known[relay] || !strings.Contains(in[agent], "pkg:golang/github.com/hashicorp/yamux@v") ||
		!strings.Contains(in[relay], "pkg:golang/modernc.org/sqlite@v") || strings.Contains(in[agent], "modernc.org/sqlite") ||
		!strings.Contains(in[agent], "pkg:golang/stdlib@1.") {
		t.Errorf("%v", in)
	}
}
