package proto_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport/proto"
)

// TestControlMessagesArriveInOrder, however the stream cuts them up, with
// messages of an unknown type between them.
func TestControlMessagesArriveInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var wire bytes.Buffer
		var want []proto.Control
		for range rapid.IntRange(0, 8).Draw(t, "messages") {
			var m proto.Control
			switch rapid.IntRange(0, 2).Draw(t, "type") {
			case 0:
				m = &proto.Drain{WithinMs: rapid.IntRange(0, 3_600_000).Draw(t, "within"), Reason: rapid.StringMatching(`[ -~]{0,600}`).Draw(t, "reason")}
			case 1:
				m = &proto.PingTimes{RTTMicros: rapid.Int64Range(0, 3_600_000_000).Draw(t, "rtt")}
			default:
				wire.WriteString(`{"type":"fromTheFuture","x":"` + strings.Repeat("y", rapid.IntRange(0, 2000).Draw(t, "pad")) + "\"}\n")
				continue
			}
			if err := proto.WriteControl(&wire, m); err != nil {
				t.Fatal(err)
			}
			want = append(want, m)
		}
		r := proto.NewControlReader(iotest.HalfReader(&wire))
		for _, w := range want {
			got, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(w, got); diff != "" {
				t.Fatal(diff)
			}
		}
		if _, err := r.Next(); err != io.EOF {
			t.Fatalf("got %v, want EOF", err)
		}
	})
}

func TestFaultyControlMessages(t *testing.T) {
	for _, wire := range []string{
		"\n", "nonsense\n", "[]\n", `{"type":"drain","withinMs":-1}` + "\n", `{"type":"drain","withinMs":"soon"}` + "\n",
		`{"type":"drain"`, // cut off
		`{"type":"drain","reason":"` + strings.Repeat("x", proto.MaxControlMessage) + "\"}\n",
		`{"type":"pingTimes","rttMicros":-5}` + "\n", `{"type":"drain","reason":"a\u0007b"}` + "\n",
	} {
		if m, err := proto.NewControlReader(strings.NewReader(wire)).Next(); !errors.Is(err, proto.ErrControl) {
			t.Errorf("%.40q: got %v, %v", wire, m, err)
		}
	}
	if err := proto.WriteControl(io.Discard, &proto.Drain{WithinMs: -1}); !errors.Is(err, proto.ErrControl) {
		t.Errorf("got %v", err)
	}
}

func FuzzControlReader(f *testing.F) {
	f.Add([]byte("{\"type\":\"drain\",\"withinMs\":10}\n{\"type\":\"new\"}\n{\"type\":\"pingTimes\",\"rttMicros\":3}\n"))
	f.Add([]byte("{\"type\":\"drain\"}"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		r := proto.NewControlReader(bytes.NewReader(wire))
		for range len(wire) + 1 { // each message takes at least a byte
			m, err := r.Next()
			if err == io.EOF || errors.Is(err, proto.ErrControl) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := proto.WriteControl(io.Discard, m); err != nil {
				t.Fatalf("accepted, but can't be written: %v", err)
			}
		}
		t.Fatal("more messages than bytes")
	})
}
