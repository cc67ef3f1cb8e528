package breadcrumb

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"sallyport/proto"
)

// File is the trail's name within the data directory.
const File = "breadcrumb.json"

// crumb is the content of File: how things stood when that changed last. The
// file's own time says until when the agent lived.
type crumb struct {
	Boot Boot `json:"boot"`
	// Been: this machine has been online, so that its being offline is news.
	Been    bool                  `json:"been,omitempty"`
	Down    *outage               `json:"down,omitempty"` // of the link now; absent while a tunnel is up
	End     *end                  `json:"end,omitempty"`  // of the run, in order
	Reports []proto.OfflineReport `json:"reports,omitempty"`
}

// outage is a time without a tunnel, not over yet.
type outage struct {
	From   time.Time          `json:"from"`
	Cause  proto.OfflineCause `json:"cause"` // "": unknown
	Detail string             `json:"detail,omitempty"`
}

// end is how a run ended.
type end struct {
	At     time.Time `json:"at"`
	Detail string    `json:"detail"`
}

// outage is what the run that left the crumb came to be offline by. alive is
// when it was last known to live, now is the machine's present start.
func (c crumb) outage(alive time.Time, now Boot) *outage {
	rebooted := !c.Boot.same(now)
	switch {
	case c.Down != nil && c.Down.Cause != "": // offline before it ended
		return c.Down
	case c.End != nil && rebooted && !now.At.IsZero() && now.At.Sub(c.End.At).Abs() < shutdown:
		return &outage{From: c.End.At, Cause: proto.CauseRebooted, Detail: "the agent was stopped in order before: " + c.End.Detail}
	case c.End != nil:
		return &outage{From: c.End.At, Cause: proto.CauseStopped, Detail: c.End.Detail}
	case rebooted:
		return &outage{From: alive, Cause: proto.CauseRebooted, Detail: "without the agent being stopped before: a loss of power, perhaps"}
	}
	return &outage{From: alive, Cause: proto.CauseCrashed, Detail: "the process was killed, or ended by a fault of its own; its log may say more"}
}

// file is where the crumb lies.
type file struct{ dir string }

func (f file) path() string { return filepath.Join(f.dir, File) }

// read returns the crumb, and when the file was last touched. What can't be read
// is none.
func (f file) read() (crumb, time.Time) {
	text, err := os.ReadFile(f.path())
	if err != nil {
		return crumb{}, time.Time{}
	}
	info, err := os.Stat(f.path())
	var c crumb
	if err != nil || json.Unmarshal(text, &c) != nil {
		return crumb{}, time.Time{}
	}
	return c, info.ModTime().Round(0).UTC()
}

// write replaces the crumb, whole or not at all.
func (f file) write(c crumb) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(f.dir, "."+File+"-*") // 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(append(text, '\n'))
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), f.path())
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

// touch notes that the agent lives.
func (f file) touch(now time.Time) error { return os.Chtimes(f.path(), now, now) }
