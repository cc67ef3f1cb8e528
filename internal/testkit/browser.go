package testkit

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Browser starts a headless Chromium with an empty profile and returns a
// context for chromedp.Run, in which a tab is open. It ends with the test. The
// test is skipped, or fails in CI, where no Chromium is installed.
func Browser(t testing.TB, timeout time.Duration) context.Context {
	t.Helper()
	path := Program(t, "chromium", "chromium-browser", "google-chrome")
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.NoFirstRun,
		chromedp.NoDefaultBrowserCheck,
		chromedp.Headless,
		chromedp.NoSandbox, // tests run as root, in containers
		chromedp.DisableGPU,
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), // it is small in containers
		chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("lang", "en-GB"),
	}
	timed, stop := context.WithTimeout(context.Background(), timeout)
	allocated, free := chromedp.NewExecAllocator(timed, options...)
	ctx, closeTab := chromedp.NewContext(allocated)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits until the browser has gone
		closeTab()
		free()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return ctx
}

// Screenshots is the directory for a test's screenshots: SALLYPORT_SCREENSHOTS,
// where they are to be kept, or one that goes away with the test.
func Screenshots(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("SALLYPORT_SCREENSHOTS")
	if dir == "" {
		return t.TempDir()
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		t.Fatalf("directory for screenshots: %v", err)
	}
	return dir
}
