package main

import (
	"fmt"
	"os"
	"path"
	"strings"
)

// downloadsFolder is where, within a release, the directory is that a relay
// serves under /downloads/.
const downloadsFolder = "downloads"

// downloads is what a relay offers: the agent's bare program for each system,
// which the install scripts fetch, and the agent's packages, installer and
// images among files. Their names lack the version, so that an address stays
// good over releases.
func (r *release) downloads(files []packed) ([]packed, error) {
	var made []packed
	for _, s := range r.systems {
		data, err := os.ReadFile(r.program(s, agent))
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("sallyport-agent-%s-%s", s.os, s.arch)
		if s.os == "windows" {
			name += ".exe"
		}
		made = append(made, packed{name: name, data: data, runs: true})
	}
	for _, f := range files {
		if name, ok := r.downloadName(f.name); ok {
			made = append(made, packed{name: name, data: f.data})
		}
	}
	return append(made, sums(made)), nil
}

// downloadName is the name of a file of the release among the downloads, if it
// belongs there.
func (r *release) downloadName(name string) (string, bool) {
	for _, arch := range []string{"amd64", "arm64"} {
		for form, from := range map[string]string{
			"sallyport-agent-linux-" + arch + ".deb":   debName("sallyport-agent", r.version, arch),
			"sallyport-agent-linux-" + arch + ".rpm":   rpmName("sallyport-agent", r.version, arch),
			"sallyport-agent-windows-" + arch + ".msi": installerName(r.version, arch),
			"sallyport-agent-image-" + arch + ".tar":   imageName("sallyport-agent", r.version, arch),
		} {
			if name == from {
				return form, true
			}
		}
	}
	return "", false
}

// downloadPackages are the packages by which a relay that was installed from
// one gets its downloads. They hold programs of every system, and so fit all.
func (r *release) downloadPackages(downloads []packed) ([]packed, error) {
	if len(r.on("linux")) == 0 {
		return nil, nil
	}
	p := linuxPackage{
		name: "sallyport-relay-downloads", arch: "all",
		description: "Agents to download from a Sallyport relay\n" +
			"The agent's programs and packages for all systems, which the relay of this\nmachine serves to the machines on which they are installed.",
	}
	for _, f := range downloads {
		p.files = append(p.files, installed{path: path.Join("/usr/share/sallyport-relay", downloadsFolder, f.name), data: f.data, mode: f.mode()})
	}
	return r.linuxPackage(p)
}

// rpmArch are the names that rpm has for processors; deb has Go's.
var rpmArch = strings.NewReplacer("amd64", "x86_64", "arm64", "aarch64", "all", "noarch")

func debName(name, version, arch string) string {
	return fmt.Sprintf("%s_%s_%s.deb", name, packageVersion(version), arch)
}

func rpmName(name, version, arch string) string {
	return fmt.Sprintf("%s-%s-1.%s.rpm", name, packageVersion(version), rpmArch.Replace(arch))
}
