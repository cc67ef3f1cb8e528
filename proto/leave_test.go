package proto

import (
	"crypto/ed25519"
	"testing"
)

func TestLeavingIsProvedByTheInstancesKeyAlone(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signature := SignLeave(key, "rel_1", "agt_1", "ins_1")
	if !VerifyLeave(public, "rel_1", "agt_1", "ins_1", signature) {
		t.Error("the instance's own signature was refused")
	}
	for name, taken := range map[string]bool{
		"another key":           VerifyLeave(other, "rel_1", "agt_1", "ins_1", signature),
		"another relay":         VerifyLeave(public, "rel_2", "agt_1", "ins_1", signature),
		"another instance":      VerifyLeave(public, "rel_1", "agt_1", "ins_2", signature),
		"ids cut elsewhere":     VerifyLeave(public, "rel_1", "agt_1i", "ns_1", signature),
		"no signature":          VerifyLeave(public, "rel_1", "agt_1", "ins_1", ""),
		"not base64":            VerifyLeave(public, "rel_1", "agt_1", "ins_1", "?"),
		"no key":                VerifyLeave(nil, "rel_1", "agt_1", "ins_1", signature),
		"the proof of a tunnel": Verify(public, []byte("rel_1"), []byte("agt_1"), ed25519.Sign(key, []byte("rel_1"))),
	} {
		if taken {
			t.Errorf("%s was taken", name)
		}
	}
}
