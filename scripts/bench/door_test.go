package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestTheApplicationWantsASignIn(t *testing.T) {
	server := httptest.NewServer(application())
	defer server.Close()
	signedIn := &door{url: server.URL, header: http.Header{"Cookie": {session.Name + "=" + session.Value}}}
	stranger := &door{url: server.URL}
	c, done := stranger.client()
	defer done()
	for name, call := range map[string]func(d *door) error{
		"small":    func(d *door) error { return d.get(t.Context(), c, "/small?close") },
		"download": func(d *door) error { return d.fetch(t.Context(), c, 3<<20, func(int) {}) },
		"upload":   func(d *door) error { return d.send(t.Context(), c, 3<<20) },
	} {
		if err := call(signedIn); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := call(stranger); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("%s without a cookie: %v", name, err)
		}
	}
	if err := stranger.signIn(t.Context(), c); err != nil {
		t.Error(err)
	}
}

// What is short or wrong must fail, or it would count as fast.
func TestAShortAnswerIsAnError(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("12")) }))
	defer server.Close()
	d := &door{url: server.URL}
	c, done := d.client()
	defer done()
	for name, err := range map[string]error{
		"small":    d.get(t.Context(), c, "/small"),
		"download": d.fetch(t.Context(), c, 3, func(int) {}),
		"upload":   d.send(t.Context(), c, 3),
		"sign-in":  d.signIn(t.Context(), c),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestMeasurementsCountWhatTheyDid(t *testing.T) {
	server := httptest.NewServer(application())
	defer server.Close()
	d := &door{url: server.URL, header: http.Header{"Cookie": {session.Name + "=" + session.Value}}}
	p := plan{smallFor: 200 * time.Millisecond, loadedFor: 20 * time.Millisecond, bulk: 2 << 20, farBulk: 1 << 20, coldTimes: 2, testTimes: 2}
	for name, m := range map[string]struct {
		measure func(context.Context, *door, plan) (sample, error)
		values  int
		work    float64 // 0: any
	}{
		"one client":   {oneClient, 1, 0},
		"many clients": {manyClients, 1, 0},
		"download":     {download, 1, 2.097152},
		"upload":       {upload, 1, 2.097152},
		"mixed":        {underLoad, 2, 0},
		"far download": {farDownload, 1, 1.048576},
		"far upload":   {farUpload, 1, 1.048576},
		"cold":         {cold(false), 2, 2},
		"test":         {signInAndPing(false), 2, 2},
	} {
		got, err := m.measure(t.Context(), d, p)
		if err != nil || len(got.values) != m.values || got.work <= 0 || m.work > 0 && got.work != m.work {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		for _, v := range got.values {
			if v <= 0 {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
	if got, err := cold(true)(t.Context(), d, p); err != nil || got.values != nil {
		t.Errorf("without a door to HTTPS: %+v, %v", got, err)
	}
}

func TestMeterSeesWork(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells what a process has used")
	}
	m := startMeter([]part{{"load", os.Getpid()}})
	x := 0
	for began := time.Now(); time.Since(began) < 30*time.Millisecond; x++ {
	}
	got := m.stop(10)
	if len(got) != 1 || got[0].CPU < 100 { // µs: a tenth of 30 ms, or what a busy machine gave us of it
		t.Errorf("%d turns: %+v", x, got)
	}
	if got := m.stop(0); got != nil {
		t.Errorf("no work: %+v", got)
	}
}

func TestStatusFields(t *testing.T) {
	path := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(path, []byte("Name:\tx\nVmRSS:\t  1796 kB\nnonvoluntary_ctxt_switches:\t9\nvoluntary_ctxt_switches:\t7\nEmpty:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{"VmRSS": 1796, "voluntary_ctxt_switches": 7, "Empty": 0, "Absent": 0} {
		if got := statusField(path, name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	if got := statusField(path+"x", "VmRSS"); got != 0 {
		t.Errorf("no file: %d", got)
	}
}
