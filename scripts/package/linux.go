package main

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	nfpmfiles "github.com/goreleaser/nfpm/v2/files"
	"github.com/goreleaser/nfpm/v2/rpm"

	agentconfig "sallyport/agent/config"
)

// linuxFiles are the maintainer scripts, one for both forms of package, and
// what the relay's package brings beside its program.
//
//go:embed linux
var linuxFiles embed.FS

// linuxPackage is what a deb and an rpm are made of.
type linuxPackage struct {
	name        string
	arch        string // as Go names it, or "all"
	description string // a line, and then more
	suggests    []string
	scripts     string // the beginning of its scripts' names among linuxFiles; "" for none
	files       []installed
}

// installed is a file of a package, where it is installed.
type installed struct {
	path   string
	data   []byte
	mode   fs.FileMode
	config bool // the administrator may change it, and the package then leaves it alone
	dir    bool
}

// agentPackage brings the program alone. The service, its account and its
// directories come with `sallyport-agent install`, which knows the relay.
func agentPackage(program []byte) linuxPackage {
	return linuxPackage{
		name: "sallyport-agent", scripts: "agent",
		description: "Lets a Sallyport relay reach applications behind this firewall\n" +
			"One outbound connection; nothing listens. After the installation:\n" +
			"sallyport-agent install --relay URL --code CODE",
		files: []installed{
			{path: "/usr/bin/sallyport-agent", data: program, mode: 0o755},
			{path: "/usr/share/doc/sallyport-agent/examples/agent.yaml", data: []byte(agentconfig.Example), mode: 0o644},
		},
	}
}

// relayPackage brings the relay as a service that is not started before
// somebody has told it its public address.
func relayPackage(program []byte) linuxPackage {
	file := func(name string) []byte {
		data, err := linuxFiles.ReadFile("linux/" + name)
		if err != nil {
			panic(err) // it is part of this program
		}
		return data
	}
	return linuxPackage{
		name: "sallyport-relay", scripts: "relay", suggests: []string{"sallyport-relay-downloads"},
		description: "Reaches REST applications in the cloud and behind firewalls\n" +
			"The relay to which Sallyport's agents connect. After the installation, set\n" +
			"public-url in /etc/sallyport/relay.yaml: systemctl enable --now sallyport-relay",
		files: []installed{
			{path: "/usr/bin/sallyport-relay", data: program, mode: 0o755},
			{path: "/usr/lib/systemd/system/sallyport-relay.service", data: file("sallyport-relay.service"), mode: 0o644},
			{path: "/etc/sallyport", mode: 0o755, dir: true},
			{path: "/etc/sallyport/relay.yaml", data: file("relay.yaml"), mode: 0o644, config: true},
		},
	}
}

// linuxPackages makes deb and rpm of a program for each processor.
func (r *release) linuxPackages(of func(program []byte) linuxPackage) ([]packed, error) {
	var made []packed
	for _, s := range r.on("linux") {
		p := of(nil)
		program, err := os.ReadFile(filepath.Join(r.work, s.os+"-"+s.arch, p.name))
		if err != nil {
			return nil, err
		}
		p = of(program)
		p.arch = s.arch
		both, err := r.linuxPackage(p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
		made = append(made, both...)
	}
	return made, nil
}

// linuxPackage makes both forms of a package.
func (r *release) linuxPackage(p linuxPackage) ([]packed, error) {
	dir, err := os.MkdirTemp(r.work, p.name+"-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var made []packed
	for _, form := range []struct {
		name string
		nfpm.Packager
	}{
		{debName(p.name, r.version, p.arch), deb.Default},
		{rpmName(p.name, r.version, p.arch), rpm.DefaultRPM},
	} {
		info, err := r.packageInfo(p, dir)
		if err != nil {
			return nil, err
		}
		var out bytes.Buffer
		if err := form.Package(info, &out); err != nil {
			return nil, fmt.Errorf("%s: %w", form.name, err)
		}
		made = append(made, packed{name: form.name, data: out.Bytes()})
	}
	return made, nil
}

// packageInfo describes a package to nfpm, which reads contents from files: dir
// is for those. It is made anew for each form, since nfpm writes in it.
func (r *release) packageInfo(p linuxPackage, dir string) (*nfpm.Info, error) {
	info := &nfpm.Info{
		Name: p.name, Arch: p.arch, Platform: "linux",
		Version: packageVersion(r.version), VersionSchema: "none",
		Section: "net", Priority: "optional", Maintainer: "Sallyport", Vendor: "Sallyport",
		Description: p.description, MTime: r.time, DisableGlobbing: true,
	}
	info.Suggests = p.suggests
	info.RPM.BuildHost = "sallyport" // not the name of whatever machine this is
	for i, f := range p.files {
		content := &nfpmfiles.Content{Destination: f.path, FileInfo: &nfpmfiles.ContentFileInfo{Mode: f.mode, MTime: r.time, Owner: "root", Group: "root"}}
		switch {
		case f.dir:
			content.Type = nfpmfiles.TypeDir
		case f.config:
			content.Type = nfpmfiles.TypeConfigNoReplace
		}
		if !f.dir {
			content.Source = filepath.Join(dir, fmt.Sprint(i))
			if err := os.WriteFile(content.Source, f.data, 0o644); err != nil {
				return nil, err
			}
		}
		info.Contents = append(info.Contents, content)
	}
	if p.scripts == "" {
		return nfpm.WithDefaults(info), nil
	}
	for step, path := range map[string]*string{
		"postinstall": &info.Scripts.PostInstall, "preremove": &info.Scripts.PreRemove, "postremove": &info.Scripts.PostRemove,
	} {
		text, err := linuxFiles.ReadFile("linux/" + p.scripts + "-" + step + ".sh")
		if err != nil {
			return nil, err
		}
		*path = filepath.Join(dir, step)
		if err := os.WriteFile(*path, text, 0o755); err != nil {
			return nil, err
		}
	}
	return nfpm.WithDefaults(info), nil
}
