package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// nonroot is the user and group that programs run as in containers.
const nonroot = 65532

// image is what a container image of a program is made of, beside the program,
// certificates and the names of its users.
type image struct {
	name   string
	data   string // the directory of the program's state
	config v1.Config
	shared []entry // a layer that is the same for every processor
}

var agentImage = image{
	name: "sallyport-agent",
	data: "var/lib/sallyport-agent",
	config: v1.Config{
		Entrypoint: []string{"/usr/bin/sallyport-agent"},
		Cmd:        []string{"run"},
		Env:        []string{"SALLYPORT_DATA=/var/lib/sallyport-agent"},
		Volumes:    map[string]struct{}{"/var/lib/sallyport-agent": {}},
		Healthcheck: &v1.HealthConfig{
			Test:     []string{"CMD", "/usr/bin/sallyport-agent", "status"},
			Interval: 30 * time.Second, Timeout: 10 * time.Second, StartPeriod: 30 * time.Second,
		},
	},
}

func relayImage(downloads []packed) image {
	i := image{
		name: "sallyport-relay",
		data: "var/lib/sallyport",
		config: v1.Config{
			Entrypoint:   []string{"/usr/bin/sallyport-relay"},
			Cmd:          []string{"serve"},
			Env:          []string{"SALLYPORT_DATA=/var/lib/sallyport", "SALLYPORT_LISTEN=:8080"},
			Volumes:      map[string]struct{}{"/var/lib/sallyport": {}},
			ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		},
	}
	const dir = "usr/share/sallyport-relay/" + downloadsFolder
	i.shared = []entry{{name: path.Dir(dir), mode: 0o755, dir: true}, {name: dir, mode: 0o755, dir: true}}
	for _, f := range downloads {
		i.shared = append(i.shared, entry{name: dir + "/" + f.name, mode: int64(f.mode()), data: f.data})
	}
	return i
}

func imageName(name, version, arch string) string {
	return fmt.Sprintf("%s-%s-image-%s.tar", name, version, arch)
}

// images makes, for each processor, an archive that `docker load` takes, and
// one OCI layout of all, for registries.
func (r *release) images(i image) ([]packed, error) {
	shared, err := layer(i.shared, r.time)
	if err != nil {
		return nil, err
	}
	var made []packed
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, s := range r.on("linux") {
		img, err := r.image(i, s, shared)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
		tag, err := name.NewTag(i.name + ":latest")
		if err != nil {
			return nil, err
		}
		var archive bytes.Buffer
		if err := tarball.Write(tag, img, &archive); err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
		made = append(made, packed{name: imageName(i.name, r.version, s.arch), data: archive.Bytes()})
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: s.os, Architecture: s.arch},
		}})
	}
	if len(made) == 0 {
		return nil, nil
	}
	all, err := r.layoutOf(index)
	return append(made, packed{name: imageName(i.name, r.version, "oci"), data: all}), err
}

// image is the image for one processor: the program, the authorities that it
// trusts, a user without privileges, and a directory that is its own, so that a
// volume in its place is too.
func (r *release) image(i image, s system, shared v1.Layer) (v1.Image, error) {
	program, err := os.ReadFile(filepath.Join(r.work, s.os+"-"+s.arch, i.name))
	if err != nil {
		return nil, err
	}
	dir := func(name string, mode int64, owner int) entry {
		return entry{name: name, mode: mode, owner: owner, dir: true}
	}
	own, err := layer([]entry{
		dir("etc", 0o755, 0), dir("etc/ssl", 0o755, 0), dir("etc/ssl/certs", 0o755, 0),
		{name: "etc/group", mode: 0o644, data: []byte(fmt.Sprintf("root:x:0:\nnonroot:x:%d:\n", nonroot))},
		{name: "etc/passwd", mode: 0o644, data: []byte(fmt.Sprintf("root:x:0:0:root:/:/\nnonroot:x:%[1]d:%[1]d:nonroot:/%[2]s:/\n", nonroot, i.data))},
		{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, data: authorities()},
		dir("tmp", 0o1777, 0),
		dir("usr", 0o755, 0), dir("usr/bin", 0o755, 0), dir("usr/share", 0o755, 0),
		{name: "usr/bin/" + i.name, mode: 0o755, data: program},
		dir("var", 0o755, 0), dir("var/lib", 0o755, 0), dir(i.data, 0o700, nonroot),
	}, r.time)
	if err != nil {
		return nil, err
	}
	layers := []v1.Layer{own}
	if shared != nil {
		layers = append(layers, shared)
	}
	img, err := mutate.AppendLayers(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), layers...)
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Created = s.os, s.arch, v1.Time{Time: r.time}
	file.Config = i.config
	file.Config.User = fmt.Sprintf("%d:%d", nonroot, nonroot)
	file.Config.WorkingDir = "/" + i.data
	file.Config.Labels = map[string]string{
		"org.opencontainers.image.title":    i.name,
		"org.opencontainers.image.version":  r.version,
		"org.opencontainers.image.revision": r.commit,
	}
	for n := range file.History {
		file.History[n].Created = v1.Time{Time: r.time}
	}
	return mutate.ConfigFile(img, file)
}

// authorities are those of Mozilla, as a Go module that go.mod pins: the same
// on every machine that builds.
func authorities() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // to memory, without headers: never fails
	}
	return out.Bytes()
}

// layer is a gzipped layer of entries, nil for none.
func layer(entries []entry, at time.Time) (v1.Layer, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	data, err := gzipped(entries, at)
	if err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
		tarball.WithMediaType(types.OCILayer))
}

// layoutOf is an OCI image layout as one tar, its files in the order of their
// names.
func (r *release) layoutOf(index v1.ImageIndex) ([]byte, error) {
	dir, err := os.MkdirTemp(r.work, "oci-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if _, err := layout.Write(dir, index); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	root := os.DirFS(dir)
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data)), ModTime: r.time, Format: tar.FormatPAX}); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	if err == nil {
		err = w.Close()
	}
	return out.Bytes(), err
}
