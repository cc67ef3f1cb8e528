// Command package cross-builds both binaries for every system that Sallyport
// is shipped for, and packs them as archives with a list of SHA-256 sums. The
// same source gives the same archives, byte for byte: build paths are trimmed
// and times are fixed.
package main

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// shipped is the operating systems and processors that are shipped for.
const shipped = "linux/amd64,linux/arm64,windows/amd64,darwin/amd64,darwin/arm64"

// system is one of them.
type system struct{ os, arch string }

// parse reads a list such as shipped.
func parse(list string) ([]system, error) {
	var systems []system
	for name := range strings.SplitSeq(list, ",") {
		os, arch, ok := strings.Cut(name, "/")
		if !ok {
			return nil, fmt.Errorf("%q: want OS/ARCH, such as linux/arm64", name)
		}
		systems = append(systems, system{os, arch})
	}
	return systems, nil
}

func main() {
	version := flag.String("version", "0.0.0-dev", "the version that the binaries report")
	commit := flag.String("commit", "", "the commit that the binaries report")
	out := flag.String("out", "dist", "the `folder` for the archives")
	list := flag.String("systems", shipped, "what to build for, as OS/ARCH,…")
	check := flag.Bool("check", false, "only build, and write nothing")
	flag.Parse()
	systems, err := parse(*list)
	if err == nil {
		err = run(systems, *version, *commit, *out, *check)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "package:", err)
		os.Exit(1)
	}
}

func run(systems []system, version, commit, out string, check bool) error {
	work, err := os.MkdirTemp("", "sallyport-package-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if !check {
		if err := os.MkdirAll(out, 0o755); err != nil {
			return err
		}
	}
	var sums strings.Builder
	for _, s := range systems {
		files, err := build(s, version, commit, work)
		if err != nil {
			return err
		}
		if check {
			fmt.Printf("built for %s/%s\n", s.os, s.arch)
			continue
		}
		name := fmt.Sprintf("sallyport-%s-%s-%s", version, s.os, s.arch)
		archive, err := pack(s, name, files)
		if err != nil {
			return fmt.Errorf("pack for %s/%s: %w", s.os, s.arch, err)
		}
		path := filepath.Join(out, archive.name)
		if err := os.WriteFile(path, archive.data, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(archive.data), archive.name)
		fmt.Printf("%s (%.1f MB)\n", path, float64(len(archive.data))/1e6)
	}
	if check {
		return nil
	}
	return os.WriteFile(filepath.Join(out, "SHA256SUMS"), []byte(sums.String()), 0o644)
}

// build compiles both binaries for one system and returns their paths.
func build(s system, version, commit, work string) ([]string, error) {
	const buildinfo = "sallyport/internal/buildinfo"
	ldflags := fmt.Sprintf("-s -w -X %[1]s.version=%[2]s -X %[1]s.commit=%[3]s", buildinfo, version, commit)
	var files []string
	for _, program := range []string{"relay", "agent"} {
		path := filepath.Join(work, s.os+"-"+s.arch, "sallyport-"+program)
		if s.os == "windows" {
			path += ".exe"
		}
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", ldflags, "-o", path, "./"+program)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+s.os, "GOARCH="+s.arch)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("build %s for %s/%s: %w", program, s.os, s.arch, err)
		}
		files = append(files, path)
	}
	return files, nil
}
