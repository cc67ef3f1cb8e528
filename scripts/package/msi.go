package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/google/uuid"

	"sallyport/agent/service"
)

// The identities by which Windows Installer knows the agent over all versions.
// They must never change.
var (
	upgradeCode   = uuid.MustParse("6f1f2b0c-6c0e-4b7c-9e8b-0d5a3d1c7b11")
	componentCode = uuid.MustParse(service.InstallerComponent)
)

// installerTables describe the package: the program in its directory under
// Program Files. As with the packages for Linux, the service comes with
// `sallyport-agent install`; Windows Installer itself stops and starts again a
// service whose program it replaces (Restart Manager).
var installerTables = template.Must(template.New("wxs").Parse(`<?xml version="1.0" encoding="utf-8"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
  <Product Id="{{.Product}}" Name="Sallyport agent" Language="1033" Version="{{.Version}}" Manufacturer="Sallyport" UpgradeCode="{{.Upgrade}}">
    <Package InstallerVersion="500" Compressed="yes" InstallScope="perMachine" Description="Sallyport agent {{.Full}}"/>
    <MajorUpgrade DowngradeErrorMessage="A newer version of the Sallyport agent is installed."/>
    <Media Id="1" Cabinet="agent.cab" EmbedCab="yes"/>
    <Directory Id="TARGETDIR" Name="SourceDir">
      <Directory Id="ProgramFiles64Folder">
        <Directory Id="INSTALLDIR" Name="Sallyport">
          <Component Id="Agent" Guid="{{.Component}}" Win64="yes">
            <File Id="Program" Name="sallyport-agent.exe" Source="sallyport-agent.exe" KeyPath="yes"/>
          </Component>
        </Directory>
      </Directory>
    </Directory>
    <Feature Id="Main" Level="1"><ComponentRef Id="Agent"/></Feature>
  </Product>
</Wix>
`))

// environmentTable puts the program's directory at the end of the machine's
// PATH, as long as it is installed. wixl knows no element for it.
const environmentTable = "Environment\tName\tValue\tComponent_\r\n" +
	"s72\tl255\tL255\ts72\r\n" +
	"Environment\tEnvironment\r\n" +
	"Path\t=-*PATH\t[~];[INSTALLDIR]\tAgent\r\n"

func installerName(version, arch string) string {
	return fmt.Sprintf("sallyport-agent-%s-windows-%s.msi", version, arch)
}

// installer makes the MSI of the agent, where Debian's wixl and msitools are
// installed.
func (r *release) installer() ([]packed, error) {
	var made []packed
	for _, s := range r.on("windows") {
		if s.arch != "amd64" { // the only one that wixl 0.101 knows
			continue
		}
		for _, tool := range []string{"wixl", "msibuild"} {
			if _, err := exec.LookPath(tool); err != nil {
				fmt.Printf("no MSI: %s is not installed (Debian's packages wixl and msitools)\n", tool)
				return nil, nil
			}
		}
		data, err := r.msi(s)
		if err != nil {
			return nil, err
		}
		made = append(made, packed{name: installerName(r.version, s.arch), data: data})
	}
	return made, nil
}

func (r *release) msi(s system) ([]byte, error) {
	dir, err := os.MkdirTemp(r.work, "msi-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "sallyport-agent.exe")
	if err := os.Link(r.program(s, agent), program); err != nil {
		return nil, err
	}
	// The cabinet holds the file's time.
	if err := os.Chtimes(program, r.time, r.time); err != nil {
		return nil, err
	}
	var tables strings.Builder
	if err := installerTables.Execute(&tables, map[string]any{
		"Product": strings.ToUpper(uuid.NewSHA1(upgradeCode, []byte("product "+r.version)).String()),
		"Upgrade": strings.ToUpper(upgradeCode.String()), "Component": strings.ToUpper(componentCode.String()),
		"Version": installerVersion(r.version), "Full": xmlEscaped(r.version),
	}); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{"agent.wxs": tables.String(), "environment.idt": environmentTable} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	code := "{" + strings.ToUpper(uuid.NewSHA1(upgradeCode, []byte("package "+r.version+r.commit)).String()) + "}"
	action := func(name string, sequence int) string {
		return fmt.Sprintf("INSERT INTO `InstallExecuteSequence` (`Action`, `Sequence`) VALUES ('%s', %d)", name, sequence)
	}
	for _, command := range [][]string{
		{"wixl", "--arch", "x64", "--output", "agent.msi", "agent.wxs"},
		{"msibuild", "agent.msi", "-i", "environment.idt"},
		{"msibuild", "agent.msi", "-q", action("RemoveEnvironmentStrings", 3300), "-q", action("WriteEnvironmentStrings", 5200)},
		{"msibuild", "agent.msi", "-s", "Sallyport agent", "Sallyport", "x64;1033", code},
	} {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "TZ=UTC", "LC_ALL=C.UTF-8")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", strings.Join(command[:2], " "), err, out)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "agent.msi"))
	if err != nil {
		return nil, err
	}
	return data, dateSummary(data, r.time)
}

func xmlEscaped(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;").Replace(s)
}

// errNoSummary: what wixl made is not what dateSummary expects.
var errNoSummary = errors.New("the MSI's summary was not found")

// fileTime is t as 100 ns since 1601, as Windows counts.
func fileTime(t time.Time) uint64 {
	const between1601And1970 = 11644473600 // seconds
	return uint64(t.Unix()+between1601And1970) * 1e7
}
