package proto

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
)

const signatureSize = ed25519.SignatureSize

// proofDomain separates a proof from anything else that the same key may ever
// sign.
const proofDomain = "sallyport tunnel proof 1"

// Transcript is what a Proof signs: SHA-256 over the domain, the subprotocol
// and the exact bytes of Hello and Challenge as they went over the wire, each
// preceded by its length as 8 bytes, big endian. So no byte of either message
// can be changed, dropped or moved from one to the other.
func Transcript(hello, challenge []byte) [sha256.Size]byte {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(proofDomain), []byte(Subprotocol), hello, challenge} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write(part)
	}
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	return sum
}

// Sign makes the signature of a Proof.
func Sign(key ed25519.PrivateKey, hello, challenge []byte) []byte {
	sum := Transcript(hello, challenge)
	return ed25519.Sign(key, sum[:])
}

// Verify reports whether the Proof is that of the key's owner, over this Hello
// and this Challenge.
func Verify(key ed25519.PublicKey, hello, challenge, signature []byte) bool {
	if len(key) != ed25519.PublicKeySize || len(signature) != ed25519.SignatureSize {
		return false
	}
	sum := Transcript(hello, challenge)
	return ed25519.Verify(key, sum[:], signature)
}
