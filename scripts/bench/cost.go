package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// part is a program that a way runs on, with the processes that it starts.
type part struct {
	name string
	pid  int
}

// usage is what a part has used since it was started. Only Linux tells.
type usage struct {
	cpu      time.Duration // in user and kernel mode
	switches int64         // voluntary: how often a thread of it began to wait
}

// cost is what a part used for one request, or for one MB.
type cost struct {
	Part     string  `json:"part"`
	CPU      float64 `json:"cpuMicroseconds"`
	Switches float64 `json:"voluntarySwitches"`
}

// meter reads what parts use for some work. Reading takes this process, the
// first of the parts, a while; so it is read last at the beginning and first at
// the end.
type meter struct {
	parts  []part
	before []usage
}

func startMeter(parts []part) *meter {
	m := &meter{parts: parts, before: make([]usage, len(parts))}
	children := childrenOf()
	for i, p := range slices.Backward(parts) {
		m.before[i] = treeUsage(p.pid, children)
	}
	return m
}

// stop is what each part has used since the start, divided by the work.
func (m *meter) stop(work float64) []cost {
	var all []cost
	for i, p := range m.parts {
		var children map[int][]int
		if i > 0 {
			children = childrenOf()
		}
		after := treeUsage(p.pid, children)
		if work <= 0 || after.cpu <= m.before[i].cpu { // nothing done, or nothing to read
			continue
		}
		all = append(all, cost{
			Part:     p.name,
			CPU:      float64((after.cpu - m.before[i].cpu).Nanoseconds()) / 1000 / work,
			Switches: float64(after.switches-m.before[i].switches) / work,
		})
	}
	return all
}

// treeUsage sums up a process and its descendants: sshd serves each connection
// in a child. The children of the benchmark itself are parts of their own.
func treeUsage(pid int, children map[int][]int) usage {
	sum := processUsage(pid)
	if pid == os.Getpid() {
		return sum
	}
	for _, child := range children[pid] {
		u := treeUsage(child, children)
		sum.cpu += u.cpu
		sum.switches += u.switches
	}
	return sum
}

// processUsage sums up the threads that a process has now. It reads the
// scheduler's own clock, in nanoseconds, since /proc/PID/stat counts ticks of
// 10 ms; that clock is kept by thread, and Go keeps its threads.
func processUsage(pid int) (u usage) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		return u
	}
	for _, thread := range threads {
		if b, err := os.ReadFile(filepath.Join(thread, "schedstat")); err == nil {
			running, _, _ := strings.Cut(string(b), " ")
			ns, _ := strconv.ParseInt(running, 10, 64)
			u.cpu += time.Duration(ns)
		}
		u.switches += statusField(filepath.Join(thread, "status"), "voluntary_ctxt_switches")
	}
	return u
}

// childrenOf reads the children of every process.
func childrenOf() map[int][]int {
	children := make(map[int][]int)
	statuses, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		return nil
	}
	for _, status := range statuses {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(status)))
		if err != nil {
			continue
		}
		if parent := int(statusField(status, "PPid")); parent > 0 {
			children[parent] = append(children[parent], pid)
		}
	}
	return children
}

// statusField is a number of a /proc status file; 0 where it is absent.
func statusField(path, name string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			fields := strings.Fields(value)
			if len(fields) == 0 {
				return 0
			}
			n, _ := strconv.ParseInt(fields[0], 10, 64)
			return n
		}
	}
	return 0
}
