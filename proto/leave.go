package proto

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// HeaderLeave carries the signature with which an instance ends its own
// enrolment: DELETE EnrollPath, with the query fields agentId and instanceId.
// The key that was enrolled is the proof; nobody is logged in.
const HeaderLeave = "Sallyport-Leave"

// leaveDomain separates such a signature from a tunnel's proof.
const leaveDomain = "sallyport leave 1"

// SignLeave is the value of HeaderLeave: base64 of an Ed25519 signature over
// SHA-256 of the domain and the three ids, each preceded by its length as 8
// bytes, big endian. It names no time: an instance that has left can't leave
// again, and its id is never given to another.
func SignLeave(key ed25519.PrivateKey, relayID, agentID, instanceID string) string {
	sum := leaving(relayID, agentID, instanceID)
	return base64.StdEncoding.EncodeToString(ed25519.Sign(key, sum[:]))
}

// VerifyLeave reports whether value is that signature, of the key's owner.
func VerifyLeave(key ed25519.PublicKey, relayID, agentID, instanceID, value string) bool {
	signature, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(key) != ed25519.PublicKeySize || len(signature) != signatureSize {
		return false
	}
	sum := leaving(relayID, agentID, instanceID)
	return ed25519.Verify(key, sum[:], signature)
}

func leaving(ids ...string) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, part := range append([]string{leaveDomain}, ids...) {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	h.Sum(sum[:0])
	return sum
}
