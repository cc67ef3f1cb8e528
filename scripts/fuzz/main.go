// Command fuzz runs every fuzz target of the module for a short while, one
// after the other: `go test -fuzz` takes only one target of one package.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

func main() {
	fuzztime := flag.String("fuzztime", "10s", "how long each target is fuzzed")
	flag.Parse()
	if err := run(*fuzztime); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

func run(fuzztime string) error {
	// Only packages whose tests name a fuzz target are compiled.
	list := exec.Command("go", "list", "-f",
		`{{$dir := .Dir}}{{$path := .ImportPath}}{{range .TestGoFiles}}{{$path}} {{$dir}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$path}} {{$dir}}/{{.}}{{"\n"}}{{end}}`, "./...")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("list the test files: %w", err)
	}
	targets := 0
	for line := range strings.Lines(string(out)) {
		pkg, file, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, name := range fuzzTargets(source) {
			targets++
			fmt.Printf("%s %s\n", pkg, name)
			// Making an interesting input smaller takes up to a minute each by
			// default, in which nothing new is tried.
			cmd := exec.Command("go", "test", "-run", "^$", "-fuzz", "^"+name+"$", "-fuzztime", share(fuzztime, name), "-fuzzminimizetime", "100x", pkg)
			cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("%s in %s: %w", name, pkg, err)
			}
		}
	}
	if targets == 0 {
		return fmt.Errorf("no fuzz target found")
	}
	return nil
}

// slow are targets of which one run costs as much as so many of the others.
var slow = map[string]int{"FuzzStreams": 40}

// share is how long a target is fuzzed: a count ("20000x") is divided among
// those that are slow, a time is not.
func share(fuzztime, name string) string {
	count, counted := strings.CutSuffix(fuzztime, "x")
	n, err := strconv.Atoi(count)
	if by := slow[name]; counted && err == nil && by > 0 {
		return fmt.Sprintf("%dx", max(1, n/by))
	}
	return fuzztime
}

// fuzzTargets returns the names of the fuzz targets that a test file declares.
func fuzzTargets(source []byte) []string {
	var names []string
	for line := range bytes.Lines(source) {
		rest, ok := bytes.CutPrefix(line, []byte("func Fuzz"))
		if !ok {
			continue
		}
		if name, params, ok := bytes.Cut(rest, []byte("(")); ok && bytes.Contains(params, []byte("*testing.F)")) {
			names = append(names, "Fuzz"+string(name))
		}
	}
	return names
}
