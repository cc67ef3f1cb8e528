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
	exit(run(ctx, *bin, p, *report))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin string, p plan, report string) error {
	s, err := setUp(ctx, bin)
	if err != nil {
		return err
	}
	defer s.tearDown()
	figures := newFigures(s.ways)
	began := time.Now()
	var longest time.Duration
	for i := range p.rounds {
		if i > 0 && time.Since(began)+longest > p.budget {
			fmt.Printf("stopping after %d rounds: the time is up\n", i)
			break
		}
		start := time.Now()
		if err := round(ctx, s.ways, p, figures); err != nil {
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

// round measures every row once over every way.
func round(ctx context.Context, ways []*way, p plan, f *figures) error {
	for _, row := range rows() {
		for _, w := range ways {
			door := w.near
			if row.far {
				door = w.far
			}
			if door == nil {
				continue
			}
			values, err := row.measure(ctx, door, p)
			if err != nil {
				return fmt.Errorf("%s by %s: %w", row.name, w.name, err)
			}
			f.add(row, w, values)
		}
	}
	return nil
}
