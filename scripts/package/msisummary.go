package main

import (
	"bytes"
	"encoding/binary"
	"time"
)

// summaryFormat is the format identifier of a summary information stream,
// FMTID_SummaryInformation of [MS-OLEPS], section 3.1.
var summaryFormat = []byte{0xe0, 0x85, 0x9f, 0xf2, 0xf9, 0x4f, 0x68, 0x10, 0xab, 0x91, 0x08, 0x00, 0x2b, 0x27, 0xb3, 0xd9}

// Of the properties in it, those with a time, and the type of their values.
const (
	summaryCreated  = 12
	summarySaved    = 13
	summaryTimeType = 0x40 // VT_FILETIME: 8 bytes
)

// dateSummary writes t over the two times in a package's summary, which the
// tools take from the clock. The stream is a property set ([MS-OLEPS], section
// 2.21): 28 bytes of header up to the format identifier, that of the first
// section's place in the stream after it; a section is its size, the number of
// properties, and for each its identifier and its place in the section.
func dateSummary(msi []byte, t time.Time) error {
	at := bytes.Index(msi, summaryFormat)
	if at < 28 || len(msi) < at+20 {
		return errNoSummary
	}
	word := func(at int) int { return int(binary.LittleEndian.Uint32(msi[at:])) }
	section := at - 28 + word(at+16)
	if section < 0 || section+8 > len(msi) {
		return errNoSummary
	}
	dated := 0
	for i := range word(section + 4) {
		entry := section + 8 + 8*i
		if entry+8 > len(msi) {
			return errNoSummary
		}
		if id := word(entry); id != summaryCreated && id != summarySaved {
			continue
		}
		value := section + word(entry+4)
		if value+12 > len(msi) || word(value) != summaryTimeType {
			return errNoSummary
		}
		binary.LittleEndian.PutUint64(msi[value+4:], fileTime(t))
		dated++
	}
	if dated != 2 {
		return errNoSummary
	}
	return nil
}
