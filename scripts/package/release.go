package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// release is what is packed, and in the name of which version.
type release struct {
	source  string // the folder of go.mod
	version string
	commit  string
	time    time.Time // of every file
	systems []system
	work    string // a folder for what lies in between
}

const (
	relay = "relay"
	agent = "agent"
)

// program is the path of a program that build has made.
func (r *release) program(s system, name string) string {
	path := filepath.Join(r.work, s.os+"-"+s.arch, "sallyport-"+name)
	if s.os == "windows" {
		path += ".exe"
	}
	return path
}

// build compiles both programs for every system.
func (r *release) build() error {
	const buildinfo = "sallyport/internal/buildinfo"
	ldflags := fmt.Sprintf("-s -w -X %[1]s.version=%[2]s -X %[1]s.commit=%[3]s", buildinfo, r.version, r.commit)
	for _, s := range r.systems {
		for _, name := range []string{relay, agent} {
			cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", ldflags, "-o", r.program(s, name), "./"+name)
			cmd.Dir = r.source
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+s.os, "GOARCH="+s.arch)
			cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("build %s for %s: %w", name, s, err)
			}
		}
		fmt.Printf("built for %s\n", s)
	}
	return nil
}

// pack makes every file of the release, the sums of all others last.
func (r *release) pack() ([]packed, error) {
	var files []packed
	add := func(more []packed, err error) error {
		files = append(files, more...)
		return err
	}
	if err := add(r.archives()); err != nil {
		return nil, fmt.Errorf("archives: %w", err)
	}
	if err := add(r.linuxPackages(agentPackage)); err != nil {
		return nil, fmt.Errorf("packages of the agent: %w", err)
	}
	if err := add(r.installer()); err != nil {
		return nil, fmt.Errorf("MSI: %w", err)
	}
	if err := add(r.images(agentImage)); err != nil {
		return nil, fmt.Errorf("image of the agent: %w", err)
	}
	// What the relay ships holds what there is of the agent so far.
	downloads, err := r.downloads(files)
	if err != nil {
		return nil, fmt.Errorf("downloads: %w", err)
	}
	if err := add(r.linuxPackages(relayPackage)); err != nil {
		return nil, fmt.Errorf("packages of the relay: %w", err)
	}
	if err := add(r.downloadPackages(downloads)); err != nil {
		return nil, fmt.Errorf("packages of the downloads: %w", err)
	}
	if err := add(r.images(relayImage(downloads))); err != nil {
		return nil, fmt.Errorf("image of the relay: %w", err)
	}
	if err := add(r.billOfMaterials()); err != nil {
		return nil, fmt.Errorf("bill of materials: %w", err)
	}
	files = append(files, sums(files))
	for _, f := range downloads {
		f.name = downloadsFolder + "/" + f.name
		files = append(files, f)
	}
	return files, nil
}

// on is the systems of the release that run an operating system.
func (r *release) on(os string) []system {
	var found []system
	for _, s := range r.systems {
		if s.os == os {
			found = append(found, s)
		}
	}
	return found
}
