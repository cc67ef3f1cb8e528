// Command bench measures Sallyport beside what an engineer would use instead:
// no tunnel at all, and `ssh -R`. Everything runs on this machine, the real
// binaries and the installed OpenSSH, in turn within each round, so that a slow
// moment of the machine touches all alike. It prints the rows of the design's
// table that one machine can show, as medians over the rounds.
//
// It asserts nothing: figures depend on the machine, their ratios much less.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"
)

func main() {
	target := flag.Bool("target", false, "be the target server, with --cert and --key (the benchmark starts itself so)")
	proxy := flag.String("proxy", "", "be a proxy to this `address` (the benchmark starts itself so)")
	certFile := flag.String("cert", "", "the target's certificate, a PEM `file`")
	keyFile := flag.String("key", "", "the key of it, a PEM `file`")
	var o options
	flag.StringVar(&o.bin, "bin", "bin", "the `folder` of the binaries")
	flag.BoolVar(&o.quick, "quick", false, "small sizes and one round: shows that it works, not how fast")
	flag.IntVar(&o.rounds, "rounds", 0, "how many rounds; by default 5, or 1 with --quick")
	flag.StringVar(&o.rows, "rows", "", "measure only the rows whose id or name matches this `regexp`")
	flag.StringVar(&o.ways, "ways", "", "measure only these `ways`: direct,ssh,sallyport,tls,proxies")
	flag.DurationVar(&o.pause, "pause", 0, "wait so long before measuring: time to attach a profiler to the processes, which are named")
	flag.StringVar(&o.json, "json", "", "write the figures to this `file` too")
	flag.StringVar(&o.svg, "svg", "", "draw them to this `file` too")
	flag.StringVar(&o.docs, "docs", "", "write figures, plot and table into the documentation in this `folder`")
	flag.StringVar(&o.from, "from", "", "measure nothing: print and draw the figures that --json wrote to this `file`")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *target {
		exit(serveTarget(ctx, *certFile, *keyFile))
		return
	}
	if *proxy != "" {
		exit(serveProxy(ctx, *proxy))
		return
	}
	exit(run(ctx, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are those of the command line.
type options struct {
	bin             string
	quick           bool
	rounds          int
	rows, ways      string
	pause           time.Duration
	json, svg, from string
	docs            string
}

// run measures, or reads what was measured, and shows it.
func run(ctx context.Context, o options) error {
	r, err := o.figures(ctx)
	if err != nil {
		return err
	}
	if err := r.print(os.Stdout); err != nil {
		return err
	}
	if o.json != "" {
		if err := r.write(o.json); err != nil {
			return err
		}
		fmt.Println("figures: " + o.json)
	}
	if o.svg != "" {
		if err := os.WriteFile(o.svg, r.draw(), 0o644); err != nil {
			return err
		}
		fmt.Println("plot: " + o.svg)
	}
	if o.docs != "" {
		if err := r.writeDocs(o.docs); err != nil {
			return err
		}
		fmt.Println("documentation: " + o.docs)
	}
	return nil
}

func (o options) figures(ctx context.Context) (*report, error) {
	if o.from != "" {
		return readReport(o.from)
	}
	wanted, err := choose(o.rows, o.ways)
	if err != nil {
		return nil, err
	}
	p := full
	if o.quick {
		p = quick
	}
	if o.rounds > 0 {
		p.rounds = o.rounds
	}
	return measure(ctx, o, wanted, p)
}

// measure starts everything, and measures in rounds.
func measure(ctx context.Context, o options, wanted choice, p plan) (*report, error) {
	began := time.Now()
	s, err := setUp(ctx, o.bin, wanted)
	if err != nil {
		return nil, err
	}
	defer s.tearDown()
	fmt.Println("processes: " + s.pids())
	if o.pause > 0 {
		fmt.Printf("measuring begins in %v\n", o.pause)
		select {
		case <-time.After(o.pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err := s.warmUp(ctx, p); err != nil {
		return nil, err
	}
	r := newReport(wanted.rows, s.ways, o.quick)
	once := func(r *row) bool { return r.once }
	again := slices.DeleteFunc(slices.Clone(wanted.rows), once)
	var longest time.Duration
	for i := range p.rounds {
		if i > 0 && time.Since(began)+longest > p.budget {
			fmt.Printf("stopping after %d rounds: the time is up\n", i)
			break
		}
		start := time.Now()
		if err := round(ctx, i, again, s.ways, p, r); err != nil {
			return nil, err
		}
		r.Rounds++
		longest = max(longest, time.Since(start))
		fmt.Printf("round %d of %d: %.0f s\n", i+1, p.rounds, time.Since(start).Seconds())
	}
	// They take their time, which is not that of a round.
	if err := round(ctx, 0, slices.DeleteFunc(slices.Clone(wanted.rows), func(r *row) bool { return !once(r) }), s.ways, p, r); err != nil {
		return nil, err
	}
	r.finish()
	return r, nil
}

// warmUp sends small requests by every way, so that no first round is unlike
// the others: connections are open, sessions made, heaps grown, code in memory.
func (s *setup) warmUp(ctx context.Context, p plan) error {
	for _, w := range s.ways {
		for _, d := range []*door{w.near, w.far} {
			if d == nil {
				continue
			}
			if _, err := repeat(ctx, d, p.warmUp); err != nil {
				return fmt.Errorf("warm up %s: %w", w.name, err)
			}
		}
	}
	return nil
}

// round measures every row once by every way. Each round begins with another
// way, so that none always comes first.
func round(ctx context.Context, i int, rows []*row, ways []*way, p plan, r *report) error {
	ways = slices.Concat(ways[i%len(ways):], ways[:i%len(ways)])
	for _, row := range rows {
		for _, w := range ways {
			door := w.near
			if row.far {
				door = w.far
			}
			if door == nil {
				continue
			}
			runtime.GC() // of what the last measurement has left in this process
			meter := startMeter(door.parts)
			got, err := row.measure(ctx, door, p)
			if err != nil {
				return fmt.Errorf("%s by %s: %w", row.name, w.name, err)
			}
			r.add(row, w.name, got, meter.stop(got.work))
		}
	}
	return nil
}
