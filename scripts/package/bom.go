package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// billOfMaterials lists, as CycloneDX JSON, every module in the programs, as
// the programs themselves tell, and each program with its hash and what is in
// it.
func (r *release) billOfMaterials() ([]packed, error) {
	libraries := map[string]cdx.Component{}
	var programs []cdx.Component
	var contents []cdx.Dependency
	for _, s := range r.systems {
		for _, name := range []string{agent, relay} {
			program, parts, err := r.material(s, name)
			if err != nil {
				return nil, fmt.Errorf("%s for %s: %w", name, s, err)
			}
			refs := []string{}
			for _, p := range parts {
				libraries[p.BOMRef] = p
				refs = append(refs, p.BOMRef)
			}
			slices.Sort(refs)
			programs = append(programs, program)
			contents = append(contents, cdx.Dependency{Ref: program.BOMRef, Dependencies: &refs})
		}
	}
	sorted := slices.SortedFunc(maps.Values(libraries), func(a, b cdx.Component) int { return cmp.Compare(a.BOMRef, b.BOMRef) })
	components := append(programs, sorted...)
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{
		Timestamp: r.time.Format(time.RFC3339),
		Component: &cdx.Component{BOMRef: "sallyport", Type: cdx.ComponentTypeApplication, Name: "sallyport", Version: r.version},
	}
	bom.Components, bom.Dependencies = &components, &contents
	var out bytes.Buffer
	if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
		return nil, err
	}
	return []packed{{name: fmt.Sprintf("sallyport-%s.cdx.json", r.version), data: out.Bytes()}}, nil
}

// material is a program and the modules in it.
func (r *release) material(s system, name string) (program cdx.Component, parts []cdx.Component, err error) {
	path := r.program(s, name)
	data, err := os.ReadFile(path)
	if err != nil {
		return program, nil, err
	}
	info, err := buildinfo.Read(bytes.NewReader(data))
	if err != nil {
		return program, nil, err
	}
	program = cdx.Component{
		BOMRef: fmt.Sprintf("sallyport-%s-%s-%s", name, s.os, s.arch),
		Type:   cdx.ComponentTypeApplication, Name: "sallyport-" + name, Version: r.version,
		Description: "for " + s.String(),
		Hashes:      &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: fmt.Sprintf("%x", sha256.Sum256(data))}},
	}
	parts = append(parts, library("stdlib", strings.TrimPrefix(info.GoVersion, "go"), ""))
	for _, m := range info.Deps {
		parts = append(parts, module(m))
	}
	return program, parts, nil
}

func module(m *debug.Module) cdx.Component {
	if m.Replace != nil {
		m = m.Replace
	}
	return library(m.Path, m.Version, m.Sum)
}

func library(path, version, sum string) cdx.Component {
	purl := "pkg:golang/" + path + "@" + version
	c := cdx.Component{BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: purl}
	if sum != "" { // of the module's files, as go.sum has it; no hash of one file
		c.Properties = &[]cdx.Property{{Name: "go:sum", Value: sum}}
	}
	return c
}
