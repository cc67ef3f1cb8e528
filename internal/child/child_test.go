//go:build unix

package child_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/internal/child"
)

// parentOf is set in the environment of the copy of this test program that
// plays the parent that gets killed.
const parentOf = "SALLYPORT_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(parentOf) != "" {
		playParent()
		return
	}
	goleak.VerifyTestMain(m)
}

// playParent starts a child, prints its process id and waits for ever.
func playParent() {
	c, err := child.Start(child.Options{Name: "sleep", Path: "sleep", Args: []string{"60"}})
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString(strconv.Itoa(c.PID()) + "\n")
	_ = c.Err()
}

type buffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func shell(t *testing.T, grace time.Duration, script string) (*child.Child, *buffer) {
	t.Helper()
	out := &buffer{}
	c, err := child.Start(child.Options{Name: "script", Path: "sh", Args: []string{"-c", script}, Output: out, Grace: grace})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Kill)
	return c, out
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestStopLetsAChildFinish(t *testing.T) {
	c, out := shell(t, 0, `trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done`)
	waitFor(t, "the script to start", func() bool { return strings.Contains(out.String(), "up") })
	if err := c.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := c.Err(); err != nil || !strings.Contains(out.String(), "bye") {
		t.Fatalf("ended with %v, output %q", err, out)
	}
}

func TestStopKillsAChildThatDoesNotListen(t *testing.T) {
	c, out := shell(t, 50*time.Millisecond, `trap '' TERM; echo up; while :; do sleep 0.05; done`)
	waitFor(t, "the script to start", func() bool { return strings.Contains(out.String(), "up") })
	err := c.Stop(context.Background())
	if err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Fatalf("got %v, want an error that says that it was killed", err)
	}
}

func TestErrTellsHowAChildEnded(t *testing.T) {
	c, _ := shell(t, 0, "exit 3")
	<-c.Done()
	if err := c.Err(); err == nil || err.Error() != "exit status 3" {
		t.Fatalf("got %v", err)
	}
	if err := c.Stop(context.Background()); err != nil {
		t.Fatalf("stopping a child that has ended: %v", err)
	}
}

func TestStartOfAProgramThatIsNotThere(t *testing.T) {
	if _, err := child.Start(child.Options{Name: "ghost", Path: "/nonexistent"}); err == nil {
		t.Fatal("no error")
	}
}

func TestChildDiesWithItsKilledParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has a parent-death signal")
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentOf+"=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	waitFor(t, "the grandchild to die", func() bool {
		if syscall.Kill(pid, 0) != nil {
			return true
		}
		// Dead, but not yet reaped by whoever inherited it.
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}
