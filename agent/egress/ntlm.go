package egress

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/Azure/go-ntlmssp"
)

// ntlm is Microsoft's MS-NLMP with a user and password, version 2. It logs a
// connection in, by three messages.
type ntlm struct {
	who  account
	sent int // messages
}

func beginNTLM(a attempt) (scheme, error) {
	if !a.who.hasPassword() {
		return nil, errNoCredentials
	}
	return &ntlm{who: a.who}, nil
}

func (n *ntlm) answer(_ context.Context, c challenge) (string, error) {
	n.sent++
	if n.sent == 1 {
		hello, err := ntlmssp.NewNegotiateMessage("", "")
		return base64.StdEncoding.EncodeToString(hello), err
	}
	raw, err := base64.StdEncoding.DecodeString(c.token)
	if err != nil {
		return "", errors.New("the proxy's NTLM challenge can't be read")
	}
	proof, err := ntlmssp.NewAuthenticateMessage(withinBounds(raw), n.who.windows(), n.who.password, nil)
	if err != nil {
		return "", fmt.Errorf("the proxy's NTLM challenge can't be answered: %w", err)
	}
	return base64.StdEncoding.EncodeToString(proof), nil
}

func (n *ntlm) again(c challenge) bool { return n.sent == 1 && c.token != "" }
func (n *ntlm) bound() bool            { return n.sent > 1 }
func (*ntlm) close()                   {}

// withinBounds makes the fields of a challenge empty that point beyond its end,
// instead of refusing it. Such are sent by proxies that hold a shorter, older
// form of the message for the present one, and by squid's own helper; neither
// the name nor, in that form, the information is needed for the answer.
func withinBounds(message []byte) []byte {
	const targetName, targetInfo, end = 12, 40, 48 // offsets (MS-NLMP, section 2.2.1.2)
	if len(message) < end {
		return message
	}
	sound := append([]byte(nil), message...)
	for _, at := range []int{targetName, targetInfo} {
		length, offset := binary.LittleEndian.Uint16(sound[at:]), binary.LittleEndian.Uint32(sound[at+4:])
		if uint64(offset)+uint64(length) > uint64(len(sound)) {
			binary.LittleEndian.PutUint16(sound[at:], 0)
		}
	}
	return sound
}
