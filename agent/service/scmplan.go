package service

import (
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"
)

// This file is what Windows is asked for; scm_windows.go asks for it.

// recoveryDelays are the waits before the service is started again after its
// first, second and any further failure. The count begins anew after
// recoveryReset without one. They also apply where it ended in order but with
// an error, which Windows by default takes for a wish to stay down.
var recoveryDelays = []time.Duration{2 * time.Second, 10 * time.Second, time.Minute}

const recoveryReset = 24 * time.Hour

// serviceSID is the security identifier of a service, and of its virtual
// account: S-1-5-80 and the SHA-1 of its name in capitals, UTF-16 little
// endian, as five 32-bit numbers. It exists before the service does, so that
// its directories can be made first.
func serviceSID(service string) string {
	var name []byte
	for _, unit := range utf16.Encode([]rune(strings.ToUpper(service))) {
		name = binary.LittleEndian.AppendUint16(name, unit)
	}
	sum := sha1.Sum(name) // what Windows uses; nothing rests on its strength
	sid := "S-1-5-80"
	for part := sum[:]; len(part) > 0; part = part[4:] {
		sid += fmt.Sprintf("-%d", binary.LittleEndian.Uint32(part))
	}
	return sid
}

// accessList is the access list of a file or directory in SDDL: SYSTEM and the
// administrators have all rights, the service reads, or also changes, and
// nothing is inherited from above, where every user may read.
func accessList(service string, access Access, directory bool) string {
	inherit := ""
	if directory {
		inherit = "OICI" // files and directories within take the entries over
	}
	rights := "0x1200a9" // FILE_GENERIC_READ | FILE_GENERIC_EXECUTE
	if access == Owns {
		rights = "0x1301bf" // and FILE_GENERIC_WRITE | DELETE: all but rights and owner
	}
	entry := func(rights, who string) string { return "(A;" + inherit + ";" + rights + ";;;" + who + ")" }
	return "D:PAI" + entry("FA", "SY") + entry("FA", "BA") + entry(rights, serviceSID(service))
}
