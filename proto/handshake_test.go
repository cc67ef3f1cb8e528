package proto_test

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"sallyport/proto"
)

func hello() *proto.Hello {
	return &proto.Hello{
		AgentID: "agt_1", InstanceID: "ins_1", Run: "4b7d", Slot: 1, Version: "1.2.3", OS: "linux", Arch: "arm64",
		Hostname: "erp-01.plant2", Capabilities: []string{"policy"}, RelayHost: "relay.example:8443",
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func TestMessagesComeBackAsTheyWere(t *testing.T) {
	for _, m := range []proto.Message{
		hello(),
		&proto.Challenge{Nonce: make([]byte, proto.NonceSize), RelayID: "rly_1"},
		&proto.Proof{Signature: make([]byte, ed25519.SignatureSize)},
		&proto.Welcome{TunnelID: "t1", AgentName: "Werk 2 – ERP", HeartbeatMs: 4000, MaxStreams: 192, ClockOffsetMs: -70000},
		&proto.Refused{Code: proto.RefusedDraining, Text: "Soon.", RetryAfterSeconds: 5},
	} {
		raw, err := proto.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := proto.Decode(raw)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if diff := cmp.Diff(m, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestFieldsOfNewerVersionsArePassedOver(t *testing.T) {
	raw, err := proto.Encode(hello())
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.Replace(string(raw), `"slot"`, `"mood":{"a":[1]},"slot"`, 1)
	if _, err := proto.Expect[*proto.Hello]([]byte(newer)); err != nil {
		t.Error(err)
	}
}

func TestFaultyMessagesAreRefused(t *testing.T) {
	for name, change := range map[string]func(*proto.Hello){
		"no agent id":          func(h *proto.Hello) { h.AgentID = "" },
		"path in instance id":  func(h *proto.Hello) { h.InstanceID = "../x" },
		"long run":             func(h *proto.Hello) { h.Run = strings.Repeat("x", 65) },
		"no version":           func(h *proto.Hello) { h.Version = "" },
		"line break in host":   func(h *proto.Hello) { h.Hostname = "a\nb" },
		"escape in os":         func(h *proto.Hello) { h.OS = "li\x1b[31mnux" },
		"not UTF-8":            func(h *proto.Hello) { h.Hostname = "a\xff" },
		"slot below":           func(h *proto.Hello) { h.Slot = -1 },
		"slot above":           func(h *proto.Hello) { h.Slot = 16 },
		"no time":              func(h *proto.Hello) { h.Time = time.Time{} },
		"no relay host":        func(h *proto.Hello) { h.RelayHost = "" },
		"too many abilities":   func(h *proto.Hello) { h.Capabilities = make([]string, 33) },
		"an ability of spaces": func(h *proto.Hello) { h.Capabilities = []string{" "} },
	} {
		h := hello()
		change(h)
		if _, err := proto.Encode(h); !errors.Is(err, proto.ErrMessage) {
			t.Errorf("%s: Encode gave %v", name, err)
		}
	}
	for _, raw := range []string{
		``, `null`, `[]`, `{}`, `{"type":"hello"}`, `{"type":"nonsense"}`, `{"type":"challenge","nonce":"AAAA"}`,
		`{"type":"proof","signature":"!"}`, `{"type":"welcome","tunnelId":"t","heartbeatMs":1,"maxStreams":1}`,
		`{"type":"refused","code":"x","retryAfterSeconds":-1}`, `{"type":"proof"} {}`,
		`{"type":"proof","pad":"` + strings.Repeat("x", proto.MaxHandshakeMessage) + `"}`,
	} {
		if m, err := proto.Decode([]byte(raw)); !errors.Is(err, proto.ErrMessage) {
			t.Errorf("%.60s: Decode gave %v, %v", raw, m, err)
		}
	}
}

func TestRefusalInPlaceOfAMessageIsAnError(t *testing.T) {
	raw, err := proto.Encode(&proto.Refused{Code: proto.RefusedUnknown, Text: "Who?"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = proto.Expect[*proto.Welcome](raw)
	var refused *proto.Refused
	if !errors.As(err, &refused) || refused.Code.Heals() {
		t.Errorf("%v", err)
	}
	if _, err := proto.Expect[*proto.Hello](raw[:0]); !errors.Is(err, proto.ErrMessage) {
		t.Errorf("%v", err)
	}
	challenge, _ := proto.Encode(&proto.Challenge{Nonce: make([]byte, proto.NonceSize)})
	if _, err := proto.Expect[*proto.Proof](challenge); !errors.Is(err, proto.ErrMessage) {
		t.Errorf("%v", err)
	}
}

// TestProofHoldsForItsOwnTranscriptOnly: whatever is changed in either message,
// or moved between them, the signature no longer holds.
func TestProofHoldsForItsOwnTranscriptOnly(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.SliceOfN(rapid.Byte(), 0, 200)
		hello, challenge := bytes.Draw(t, "hello"), bytes.Draw(t, "challenge")
		signature := proto.Sign(private, hello, challenge)
		if !proto.Verify(public, hello, challenge, signature) {
			t.Fatal("the proof does not hold")
		}
		if proto.Verify(other, hello, challenge, signature) {
			t.Fatal("it holds for another key")
		}
		all := append(append([]byte(nil), hello...), challenge...)
		cut := rapid.IntRange(0, len(all)).Draw(t, "cut")
		if cut != len(hello) && proto.Verify(public, all[:cut], all[cut:], signature) {
			t.Fatal("bytes can be moved from one message to the other")
		}
		if len(all) > 0 {
			all[rapid.IntRange(0, len(all)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
			if proto.Verify(public, all[:len(hello)], all[len(hello):], signature) {
				t.Fatal("a byte can be changed")
			}
		}
	})
	if proto.Verify(nil, nil, nil, make([]byte, 64)) || proto.Verify(public, nil, nil, nil) {
		t.Error("no key, or no signature, verifies")
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range []proto.Message{hello(), &proto.Refused{Code: "busy", Text: "later"}, &proto.Welcome{TunnelID: "t", HeartbeatMs: 4000, MaxStreams: 1}} {
		raw, err := proto.Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"type":"proof","signature":"AA=="}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := proto.Decode(raw)
		if err != nil {
			if !errors.Is(err, proto.ErrMessage) {
				t.Fatalf("%v is not an ErrMessage", err)
			}
			return
		}
		// What was accepted can be said again, and means the same.
		again, err := proto.Encode(m)
		if err != nil {
			// Escapes may make a message at the limit longer.
			if len(raw) > proto.MaxHandshakeMessage/8 {
				return
			}
			t.Fatalf("accepted, but can't be written: %v", err)
		}
		same, err := proto.Decode(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, same, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}
