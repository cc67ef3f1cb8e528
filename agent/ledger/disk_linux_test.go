package ledger

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/agent/linefile"
	"sallyport/internal/testkit"
)

// TestFullDiskStopsNoRequest, and once there is room the ledger says how many
// are missing.
func TestFullDiskStopsNoRequest(t *testing.T) {
	dir, ballast := testkit.FullDisk(t, 4<<10)
	path := filepath.Join(dir, File)
	l := open(t, path)
	rt := l.Wrap(refusing{errors.New("odd")})
	for began := time.Now(); l.Lost() == 0; {
		_ = send(t, rt, request(t, "GET", "http://erp.test/orders", ""))
		if time.Since(began) > 20*time.Second {
			t.Fatal("the disk is not full")
		}
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 10*time.Second, "the ledger says what is missing", func() error {
		_ = send(t, rt, request(t, "GET", "http://erp.test/orders", ""))
		for _, e := range readable(t, path) {
			if e.Missing > 0 {
				return nil
			}
		}
		return errors.New("it does not")
	})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDiskThatHangsStopsNoRequest: a named pipe that nobody empties is one.
func TestDiskThatHangsStopsNoRequest(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDWR, 0) // or opening it to write would hang, too
	if err != nil {
		t.Fatal(err)
	}
	l := open(t, path)
	rt := l.Wrap(refusing{errors.New("odd")})
	began := time.Now()
	for range 10_000 { // some 3 MB
		_ = send(t, rt, request(t, "GET", "http://erp.test/orders", ""))
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("10000 requests took %v", took)
	}
	if l.Lost() == 0 {
		t.Error("everything is kept in memory")
	}
	go func() { // so that the writer ends
		buf := make([]byte, 1<<20)
		for {
			if _, err := reader.Read(buf); err != nil {
				return
			}
		}
	}()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	_ = reader.Close()
}

// readable are the entries that can be read: a line that met the end of the disk
// may be cut.
func readable(t *testing.T, path string) (all []Entry) {
	t.Helper()
	if err := linefile.NewReader(path, time.Time{}).Read(func(line []byte) error {
		var e Entry
		if json.Unmarshal(line, &e) == nil {
			all = append(all, e)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}
