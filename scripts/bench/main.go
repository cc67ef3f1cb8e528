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
	"slices"
	"syscall"
	"time"
)

// plan is how much is measured.
type plan struct {
	rounds    int
	budget    time.Duration // no new round is begun that would end after this
	smallFor  time.Duration // each measurement of small requests
	loadedFor time.Duration // small requests while downloads run
	bulk      int64         // bytes of a download or upload
	farBulk   int64         // bytes of a download over the long path
	coldTimes int
}

var (
	full = plan{
		rounds: 5, budget: 330 * time.Second, smallFor: 2 * time.Second, loadedFor: 4 * time.Second,
		bulk: 1 << 30, farBulk: 50 << 20, coldTimes: 15,
	}
	quick = plan{
		rounds: 1, budget: 60 * time.Second, smallFor: 200 * time.Millisecond, loadedFor: 300 * time.Millisecond,
		bulk: 16 << 20, farBulk: 4 << 20, coldTimes: 3,
	}
)

// roundTrip is that of the long path.
const roundTrip = 80 * time.Millisecond

func main() {
	target := flag.Bool("target", false, "be the target server (the benchmark starts itself so)")
	bin := flag.String("bin", "bin", "the `folder` of the binaries")
	isQuick := flag.Bool("quick", false, "small sizes and one round: shows that it works, not how fast")
	rounds := flag.Int("rounds", 0, "how many rounds; by default 5, or 1 with --quick")
	report := flag.String("json", "", "write the figures to this `file` too")
	rowsLike := flag.String("rows", "", "measure only the rows whose id or name matches this `regexp`")
	ways := flag.String("ways", "", "measure only these `ways`: direct,ssh,sallyport")
	pause := flag.Duration("pause", 0, "wait so long before measuring: time to attach a profiler to the processes, which are named")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *target {
		exit(serveTarget(ctx))
		return
	}
	p := full
	if *isQuick {
		p = quick
	}
	if *rounds > 0 {
		p.rounds = *rounds
	}
	wanted, err := choose(*rowsLike, *ways)
	if err != nil {
		exit(err)
	}
	exit(run(ctx, *bin, wanted, p, *pause, *report))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin string, wanted choice, p plan, pause time.Duration, report string) error {
	s, err := setUp(ctx, bin, wanted)
	if err != nil {
		return err
	}
	defer s.tearDown()
	fmt.Println("processes: " + s.pids())
	if pause > 0 {
		fmt.Printf("measuring begins in %v\n", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	figures := newFigures(wanted.rows, s.ways)
	began := time.Now()
	var longest time.Duration
	for i := range p.rounds {
		if i > 0 && time.Since(began)+longest > p.budget {
			fmt.Printf("stopping after %d rounds: the time is up\n", i)
			break
		}
		start := time.Now()
		if err := round(ctx, i, wanted.rows, s.ways, p, figures); err != nil {
			return err
		}
		longest = max(longest, time.Since(start))
		fmt.Printf("round %d of %d: %.0f s\n", i+1, p.rounds, time.Since(start).Seconds())
	}
	if err := figures.table(os.Stdout); err != nil {
		return err
	}
	if report == "" {
		return nil
	}
	return figures.writeJSON(report)
}

// round measures every row once over every way. Each round begins with another
// way, so that none always comes first.
func round(ctx context.Context, i int, rows []*row, ways []*way, p plan, f *figures) error {
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
			before := usageOf(door.parts)
			got, err := row.measure(ctx, door, p)
			if err != nil {
				return fmt.Errorf("%s by %s: %w", row.name, w.name, err)
			}
			f.add(row, w, got.values)
			f.addCosts(row, w, costs(door.parts, before, usageOf(door.parts), got.work))
		}
	}
	return nil
}
