package records

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// mostMemory is what an idle agent may take, in KiB, its program's pages that
	// are in memory included.
	mostMemory = 30 << 10
	// watched is for how long it is watched, and mostTicks how much processor time
	// it may take meanwhile, in 10 ms: 0.5 %, where what was measured is a tenth
	// of that.
	watched   = 10 * time.Second
	mostTicks = 5
)

// TestIdleAgentTakesNextToNothing of the machine: memory and processor time of
// the program as built, with both tunnels up and its metrics served.
func TestIdleAgentTakesNextToNothing(t *testing.T) {
	s := newStage(t)
	s.startAgent("--status-listen", "127.0.0.1:0")
	before := ticks(t, s.agent.PID())
	<-time.After(watched) // the length of the measurement
	used := ticks(t, s.agent.PID()) - before
	memory := resident(t, s.agent.PID())
	t.Logf("%d KiB resident, %d ticks of 10 ms in %v", memory, used, watched)
	if memory > mostMemory {
		t.Errorf("an idle agent takes %d KiB, more than %d", memory, mostMemory)
	}
	if used > mostTicks {
		t.Errorf("an idle agent took %d ticks of 10 ms in %v", used, watched)
	}
}

// ticks is the processor time of a process, proc_pid_stat(5), fields 14 and 15.
func ticks(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		t.Fatalf("%q", text)
	}
	return user + system
}

// resident is the memory of a process, in KiB.
func resident(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib
}
