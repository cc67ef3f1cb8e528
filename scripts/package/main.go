// Command package cross-builds both programs for every system that Sallyport
// is shipped for, and packs them in the forms in which those systems take
// programs: archives, deb, rpm, MSI, container images, and the directory from
// which a relay serves its agents' programs. With them go SHA-256 sums and a
// bill of materials.
//
// The same source gives the same files, byte for byte, wherever it is built:
// paths are trimmed, every time is that of the commit, and entries are sorted.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// shipped is the operating systems and processors that are shipped for.
const shipped = "linux/amd64,linux/arm64,windows/amd64,darwin/amd64,darwin/arm64"

// system is one of them.
type system struct{ os, arch string }

func (s system) String() string { return s.os + "/" + s.arch }

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
	r := release{source: "."}
	flag.StringVar(&r.version, "version", "0.0.0-dev", "the version that the programs report")
	flag.StringVar(&r.commit, "commit", "", "the commit that the programs report")
	epoch := flag.String("epoch", os.Getenv("SOURCE_DATE_EPOCH"), "the time of every file, in `seconds` since 1970; of the commit, as a rule")
	out := flag.String("out", "dist", "the `folder` for what is made")
	list := flag.String("systems", shipped, "what to build for, as OS/ARCH,…")
	check := flag.Bool("check", false, "only build, and write nothing")
	flag.Parse()
	if err := run(r, *list, *epoch, *out, *check); err != nil {
		fmt.Fprintln(os.Stderr, "package:", err)
		os.Exit(1)
	}
}

func run(r release, list, epoch, out string, check bool) (err error) {
	if r.systems, err = parse(list); err != nil {
		return err
	}
	if r.time, err = parseEpoch(epoch); err != nil {
		return err
	}
	if r.work, err = os.MkdirTemp("", "sallyport-package-"); err != nil {
		return err
	}
	defer os.RemoveAll(r.work)
	if err := r.build(); err != nil || check {
		return err
	}
	files, err := r.pack()
	if err != nil {
		return err
	}
	if err := clear(out); err != nil {
		return err
	}
	for _, f := range files {
		path := filepath.Join(out, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.data, f.mode()); err != nil {
			return err
		}
		fmt.Printf("%s (%.1f MB)\n", path, float64(len(f.data))/1e6)
	}
	return nil
}

// oldest is the time where none is given: the earliest that a zip can express.
var oldest = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

func parseEpoch(text string) (time.Time, error) {
	if text == "" {
		return oldest, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("the time %q is not a number of seconds since 1970", text)
	}
	if t := time.Unix(seconds, 0).UTC(); t.After(oldest) {
		return t, nil
	}
	return oldest, nil
}
