package doctor

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
)

// downloadsPath is where a relay offers the agent's programs.
const downloadsPath = "downloads"

// downloads finds out whether the agent's next version could be fetched from
// here, as the scripts that install and upgrade do it. Filters that let a tunnel
// through may still refuse programs. No tunnel needs this, so what is found is a
// warning at most; and a relay need not offer any.
func (e *examination) downloads(ctx context.Context) {
	subject := hostOf(e.relay)
	if subject != "" {
		subject += "/" + downloadsPath + "/"
	}
	if e.blocked != "" {
		e.skip(CheckDownloads, subject, "needs "+e.blocked+", which failed")
		return
	}
	name := "sallyport-agent-" + runtime.GOOS + "-" + runtime.GOARCH
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	e.check(CheckDownloads, subject, func(r *Result) {
		r.Facts["file"] = name
		for _, ask := range []struct{ method, path string }{
			{http.MethodGet, downloadsPath + "/SHA256SUMS"}, {http.MethodHead, downloadsPath + "/" + name},
		} {
			a, err := e.ask(ctx, ask.method, ask.path)
			if err != nil {
				r.warn(fmt.Sprintf("%s could not be fetched from %s: %v.", ask.path, e.relay.Host, err), allowDownloads)
				return
			}
			r.Facts["httpStatus"] = a.status
			switch {
			case a.status == http.StatusNotFound && !looksLikePage(a):
				r.Facts["offered"] = false
				r.pass(fmt.Sprintf("The relay offers no %s: newer versions come as this one came, by a package or a file.", name))
				return
			case a.status != http.StatusOK || looksLikePage(a):
				r.warn(fmt.Sprintf("Something on the way, or before the relay, answers %s with %d in its place.", ask.path, a.status), allowDownloads)
				return
			}
		}
		r.Facts["offered"] = true
		r.pass(fmt.Sprintf("The relay offers %s, and it can be fetched from here.", name))
	})
}

const allowDownloads = "The tunnel does not need it, but the scripts that install and upgrade do: ask the network team to allow it, or bring newer versions by a package or a file."
