package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// The cost of one guess: argon2id with 19 MiB, two passes and one lane, the
// minimum that OWASP's password storage cheat sheet recommends. Each hash names
// its own cost, so it can be raised without locking anybody out.
const (
	argonMemoryKiB = 19 * 1024
	argonTime      = 2
	argonLanes     = 1
	argonKeyBytes  = 32
	argonSaltBytes = 16
)

// hashesAtOnce bounds memory and CPU: a burst of sign-ins waits in line.
const hashesAtOnce = 2

const (
	minPassword = 10  // characters
	maxPassword = 256 // bytes; more would only be work for us
)

// hasher makes and checks password hashes.
type hasher struct {
	memoryKiB, passes uint32
	slots             chan struct{}
	decoy             string // what an unknown account is checked against
}

func newHasher(memoryKiB, passes uint32) *hasher {
	return &hasher{
		memoryKiB: memoryKiB, passes: passes,
		slots: make(chan struct{}, hashesAtOnce),
		decoy: encode(memoryKiB, passes, argonLanes, make([]byte, argonSaltBytes), make([]byte, argonKeyBytes)),
	}
}

func checkPassword(password string) error {
	if utf8.RuneCountInString(password) < minPassword {
		return invalid(fmt.Sprintf("The password must have at least %d characters.", minPassword), "A few words in a row are easy to remember.")
	}
	if len(password) > maxPassword {
		return invalid(fmt.Sprintf("The password must have at most %d bytes.", maxPassword), "")
	}
	return nil
}

// hash makes the encoded hash of a password, with a salt of its own.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, argonSaltBytes)
	rand.Read(salt) // never fails, see crypto/rand
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	key := argon2.IDKey([]byte(password), salt, h.passes, h.memoryKiB, argonLanes, argonKeyBytes)
	return encode(h.memoryKiB, h.passes, argonLanes, salt, key), nil
}

// verify reports whether the password is the one of the encoded hash. An empty
// hash takes as long, and is never right.
func (h *hasher) verify(ctx context.Context, encoded, password string) (bool, error) {
	if len(password) > maxPassword {
		return false, nil
	}
	known := encoded != ""
	if !known {
		encoded = h.decoy
	}
	memory, passes, lanes, salt, want, err := decode(encoded)
	if err != nil {
		return false, fmt.Errorf("check a password: %w", err)
	}
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	got := argon2.IDKey([]byte(password), salt, passes, memory, lanes, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1 && known, nil
}

func (h *hasher) enter(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for a turn to check a password: %w", ctx.Err())
	}
}

func (h *hasher) leave() { <-h.slots }

// encode writes the PHC string format:
// $argon2id$v=19$m=19456,t=2,p=1$SALT$KEY, base64 without padding.
func encode(memory, passes uint32, lanes uint8, salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, passes, lanes,
		b64.EncodeToString(salt), b64.EncodeToString(key))
}

var errHash = errors.New("the stored password hash is not argon2id of a version that is known")

func decode(encoded string) (memory, passes uint32, lanes uint8, salt, key []byte, err error) {
	fail := func() (uint32, uint32, uint8, []byte, []byte, error) { return 0, 0, 0, nil, nil, errHash }
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return fail()
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &lanes); err != nil || passes == 0 || lanes == 0 {
		return fail()
	}
	if salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return fail()
	}
	if key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(key) < 16 {
		return fail()
	}
	return memory, passes, lanes, salt, key, nil
}
