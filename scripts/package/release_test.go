package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

const testVersion = "v1.2.3-4-g0a1b2c3"

var testTime = time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC)

// folder is that of the test's files. The program runs by itself, as make runs
// it: under the race detector, compressing takes minutes.
var folder string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "sallyport-package-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	folder = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// made is the folder of one release for all tests, of two systems.
var made = sync.OnceValues(func() (string, error) {
	tool := filepath.Join(folder, "package")
	if out, err := exec.Command("go", "build", "-o", tool, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return makeRelease("../..", "here")
})

// makeRelease packs the source in a folder.
func makeRelease(source, name string) (string, error) {
	out := filepath.Join(folder, name)
	cmd := exec.Command(filepath.Join(folder, "package"), "--systems", "linux/amd64,windows/amd64", "--version", testVersion,
		"--commit", "0a1b2c3d4e5f", "--epoch", fmt.Sprint(testTime.Unix()), "--out", out)
	cmd.Dir = source
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, text)
	}
	return out, nil
}

// files is the whole release, by name.
func files(t *testing.T) map[string][]byte {
	t.Helper()
	dir, err := made()
	if err != nil {
		t.Fatal(err)
	}
	return read(t, dir)
}

func read(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	root := os.DirFS(dir)
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found[name], err = fs.ReadFile(root, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// file is the path of a file of the release.
func file(t *testing.T, name string) string {
	t.Helper()
	dir, err := made()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the release lacks %s", name)
	}
	return path
}

// output is what a program prints; the test fails where the program does.
func output(t *testing.T, path string, args ...string) string {
	t.Helper()
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", path, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func wantParts(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("lacks %q:\n%s", part, text)
		}
	}
}

func TestReleaseIsTheSameWhereverItIsBuilt(t *testing.T) {
	here := files(t)
	elsewhere := t.TempDir()
	for _, part := range []string{"go.mod", "go.sum", "agent", "relay", "proto", "internal"} {
		copyTree(t, filepath.Join("../..", part), filepath.Join(elsewhere, part))
	}
	dir, err := makeRelease(elsewhere, "there")
	if err != nil {
		t.Fatal(err)
	}
	there := read(t, dir)
	if len(here) != len(there) || len(here) < 15 {
		t.Errorf("%d files here, %d elsewhere", len(here), len(there))
	}
	for name, data := range here {
		if !bytes.Equal(data, there[name]) {
			t.Errorf("%s differs", name)
		}
	}
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSumsNameEveryFileButThemselves(t *testing.T) {
	files := files(t)
	for _, folder := range []string{"", downloadsFolder + "/"} {
		listed := map[string]bool{}
		for line := range strings.Lines(string(files[folder+sumsName])) {
			sum, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
			if got := fmt.Sprintf("%x", sha256.Sum256(files[folder+name])); got != sum {
				t.Errorf("%s%s: %s, listed as %s", folder, name, got, sum)
			}
			listed[folder+name] = true
		}
		for name := range files {
			here := strings.HasPrefix(name, downloadsFolder+"/") == (folder != "")
			if here && name != folder+sumsName && !listed[name] {
				t.Errorf("%s is not listed", name)
			}
		}
	}
}

func TestDownloadsAreWhatInstallsAgents(t *testing.T) {
	want := map[string]bool{sumsName: true, "sallyport-agent-linux-amd64": true, "sallyport-agent-windows-amd64.exe": true,
		"sallyport-agent-linux-amd64.deb": true, "sallyport-agent-linux-amd64.rpm": true, "sallyport-agent-image-amd64.tar": true}
	for name := range files(t) {
		if rest, ok := strings.CutPrefix(name, downloadsFolder+"/"); ok && !want[rest] && !strings.HasSuffix(rest, ".msi") {
			t.Errorf("%s does not belong there", rest)
		} else if ok {
			delete(want, rest)
		}
	}
	if len(want) > 0 {
		t.Errorf("lacks %v", want)
	}
	path := file(t, downloadsFolder+"/sallyport-agent-linux-amd64")
	wantParts(t, output(t, path, "version"), testVersion, "0a1b2c3d4e5f")
}

func TestNewReleaseReplacesTheOldOneAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"old.deb": "", "mine.txt": "", "SHA256SUMS": "aa  old.deb\nbb  ../outside\n",
		"downloads/old": "", "downloads/mine": "", "downloads/SHA256SUMS": "cc  old\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := clear(dir); err != nil {
		t.Fatal(err)
	}
	for name, there := range map[string]bool{"old.deb": false, "mine.txt": true, "downloads/old": false, "downloads/mine": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInstallerForWindows(t *testing.T) {
	testkit.Program(t, "wixl")
	msiinfo := testkit.Program(t, "msiinfo")
	path := file(t, installerName(testVersion, "amd64"))
	wantParts(t, output(t, msiinfo, "export", path, "Property"), "ProductVersion\t1.2.3", "{6F1F2B0C-6C0E-4B7C-9E8B-0D5A3D1C7B11}")
	wantParts(t, output(t, msiinfo, "export", path, "File"), "sallyport-agent.exe")
	wantParts(t, output(t, msiinfo, "export", path, "Environment"), "[~];[INSTALLDIR]")
	wantParts(t, output(t, msiinfo, "export", path, "InstallExecuteSequence"), "WriteEnvironmentStrings\t\t5200", "RemoveEnvironmentStrings\t\t3300")
	wantParts(t, output(t, msiinfo, "suminfo", path), "Created: Sat Jan 31 08:00:00 2026", "Last saved: Sat Jan 31 08:00:00 2026")
	wantParts(t, output(t, msiinfo, "streams", path), "agent.cab")
}
