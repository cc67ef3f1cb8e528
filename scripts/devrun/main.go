// Command devrun is what `make run` runs: a relay, an agent of this machine
// and the sample application, each the real binary, stopped together by
// Ctrl-C. Everything that it makes is kept in the data folder, so that the
// next start goes on where this one ended.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	var o options
	flag.IntVar(&o.port, "port", 8080, "the relay's `port` on 127.0.0.1")
	flag.StringVar(&o.data, "data", "data", "the `folder` in which everything is kept")
	flag.StringVar(&o.bin, "bin", "bin", "the `folder` of the binaries")
	flag.StringVar(&o.database, "database", "", "the relay's database; by default SQLite in the data folder")
	flag.StringVar(&o.logLevel, "log-level", "info", "of relay and agent")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second Ctrl-C ends us at once, and the children with us
	}()
	err := run(ctx, o, os.Stdout)
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "\nmake run:", err)
		os.Exit(1)
	}
}
