package hub

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestNobodyIsLetInWhileProofsWaitForLong: what is too slow to take in those who
// are there is not helped by more of them.
func TestNobodyIsLetInWhileProofsWaitForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoorstep(Options{MaxHandshakes: 100, StepTimeout: 10 * time.Second, Clock: time.Now})
		var there []*place
		enter := func(want bool) {
			t.Helper()
			p, limit := d.enter(fmt.Sprint(len(there)))
			if (p != nil) != want {
				t.Fatalf("let in: %v, %+v", p != nil, limit)
			}
			if p != nil {
				there = append(there, p)
			}
		}
		for range 3 {
			enter(true)
		}
		for _, p := range there {
			d.proof(p)
		}
		d.turn(there[0])
		enter(true) // it had not waited
		time.Sleep(6 * time.Second)
		d.turn(there[1])
		enter(false)
		d.leave(there[1], true)
		enter(false)
		d.turn(there[2]) // the last that waits
		enter(true)
		for _, p := range there {
			if p != there[1] {
				d.leave(p, false)
			}
		}
		if d.all != 0 || d.waiting != 0 || len(d.byAddress) != 0 || d.dawdlers.Len() != 0 {
			t.Errorf("%d are left, %d wait, %v, %d dawdle", d.all, d.waiting, d.byAddress, d.dawdlers.Len())
		}
	})
}
