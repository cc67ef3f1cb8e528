package hub

import (
	"testing"
	"time"

	"sallyport/internal/mux"
)

func TestStreamsThatNobodyNeedsGrowOld(t *testing.T) {
	var kept keptStreams
	start := time.Now()
	streams := make([]*mux.Stream, mostKept)
	for i := range streams {
		streams[i] = &mux.Stream{}
		if !kept.put(streams[i], start.Add(time.Duration(i)*time.Second)) {
			t.Fatalf("no room for stream %d", i)
		}
	}
	if kept.put(&mux.Stream{}, start) {
		t.Error("there is no limit")
	}
	if got := kept.take(); got != streams[mostKept-1] {
		t.Error("the stream that was kept last is not the first to be used")
	}
	if old := kept.old(start); len(old) != 0 {
		t.Errorf("%d streams are old at once", len(old))
	}
	old := kept.old(start.Add(10 * time.Second))
	if len(old) != 10 || old[0] != streams[0] || old[9] != streams[9] {
		t.Errorf("%d streams are old", len(old))
	}
	for want := mostKept - 2; want >= 10; want-- {
		if got := kept.take(); got != streams[want] {
			t.Fatalf("stream %d was lost", want)
		}
	}
	if kept.take() != nil {
		t.Error("more came out than went in")
	}
}
