package testkit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
)

// InMemory looks for texts in all the memory of a process that the test
// started, which stands still meanwhile, and returns those that are there.
func InMemory(t testing.TB, p *Process, texts ...string) []string {
	t.Helper()
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Signal(syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	}()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", p.PID()))
	if errors.Is(err, fs.ErrPermission) {
		Missing(t, "leave to read the memory of a child", err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	found, size := map[string]bool{}, int64(0)
	for _, r := range regions(t, p.PID()) {
		size += search(mem, r, texts, found)
	}
	if size < 1<<20 { // less than the program itself
		t.Fatalf("only %d bytes of the memory of %s could be read", size, p.Name())
	}
	var there []string
	for _, text := range texts {
		if found[text] {
			there = append(there, text)
		}
	}
	return there
}

// region is a stretch of a process's memory.
type region struct{ from, to int64 }

func regions(t testing.TB, pid int) []region {
	t.Helper()
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	var all []region
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		var r region
		var mode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &r.from, &r.to, &mode); err != nil || mode[0] != 'r' || strings.Contains(lines.Text(), "[v") {
			continue // not readable, or the kernel's own
		}
		all = append(all, r)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// search notes the texts that a region holds, and returns how much of it could
// be read.
func search(mem *os.File, r region, texts []string, found map[string]bool) (read int64) {
	const piece, overlap = 1 << 20, 4 << 10 // no text is longer than the latter
	buf := make([]byte, piece+overlap)
	for at := r.from; at < r.to; at += piece {
		n, err := mem.ReadAt(buf[:min(int64(len(buf)), r.to-at)], at)
		for _, text := range texts {
			found[text] = found[text] || bytes.Contains(buf[:n], []byte(text))
		}
		read += int64(min(n, piece))
		if err != nil { // a page that was never there
			return read
		}
	}
	return read
}
