package main

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// row is one line of the table.
type row struct {
	id      string // short, for --rows
	name    string
	unit    string
	more    bool   // more is better
	far     bool   // measured over the long path
	per     string // what its costs are for: a request, or a MB
	second  *row   // a second figure that the same measurement yields
	measure func(ctx context.Context, d *door, p plan) (sample, error)
}

// sample is what one measurement yields.
type sample struct {
	values []float64 // the row's, then its second's
	work   float64   // requests or MB, by which costs are divided
}

// rows are in the order of the design's table.
func rows() []*row {
	return []*row{
		{id: "small-1", per: "request", name: "small GET, 1 client, median", unit: "ms", measure: oneClient},
		{id: "small-32", per: "request", name: "small GET, 32 clients", unit: "req/s", more: true, measure: manyClients},
		{id: "download", per: "MB", name: "download", unit: "MB/s", more: true, measure: download},
		{id: "upload", per: "MB", name: "upload", unit: "MB/s", more: true, measure: upload},
		{id: "mixed", per: "MB", name: "small GET p99 while 2 downloads run", unit: "ms", measure: underLoad,
			second: &row{id: "mixed-rate", name: "those downloads meanwhile", unit: "MB/s", more: true}},
		{id: "far-download", per: "MB", name: "download at 80 ms round trip", unit: "MB/s", more: true, far: true, measure: farDownload},
		{id: "cold", per: "request", name: "cold plain request at 80 ms", unit: "ms", far: true, measure: cold},
	}
}

func oneClient(ctx context.Context, d *door, p plan) (sample, error) {
	times, err := repeat(ctx, d, p.smallFor)
	if err != nil {
		return sample{}, err
	}
	return sample{values: []float64{ms(quantile(times, 0.5))}, work: float64(len(times))}, nil
}

// repeat sends small requests one after the other, and returns how long each
// took. The first few warm the connections and don't count.
func repeat(ctx context.Context, d *door, during time.Duration) ([]time.Duration, error) {
	c, done := client()
	defer done()
	for range 5 {
		if err := d.get(ctx, c); err != nil {
			return nil, err
		}
	}
	var times []time.Duration
	for began := time.Now(); len(times) == 0 || time.Since(began) < during; {
		start := time.Now()
		if err := d.get(ctx, c); err != nil {
			return nil, err
		}
		times = append(times, time.Since(start))
	}
	return times, nil
}

func manyClients(ctx context.Context, d *door, p plan) (sample, error) {
	c, done := client()
	defer done()
	var (
		all     sync.WaitGroup
		total   atomic.Int64
		counted atomic.Int64
		failed  = make(chan error, 32)
	)
	// The first tenth warms the connections and doesn't count.
	from := time.Now().Add(p.smallFor / 10)
	until := from.Add(p.smallFor)
	for range cap(failed) {
		all.Go(func() {
			for time.Now().Before(until) {
				if err := d.get(ctx, c); err != nil {
					failed <- err
					return
				}
				total.Add(1)
				if now := time.Now(); now.After(from) && now.Before(until) {
					counted.Add(1)
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-failed:
		return sample{}, err
	default:
	}
	return sample{values: []float64{float64(counted.Load()) / p.smallFor.Seconds()}, work: float64(total.Load())}, nil
}

func download(ctx context.Context, d *door, p plan) (sample, error) {
	return timed(p.bulk, func(c *http.Client) error { return d.fetch(ctx, c, p.bulk, func(int) {}) })
}

func farDownload(ctx context.Context, d *door, p plan) (sample, error) {
	return timed(p.farBulk, func(c *http.Client) error { return d.fetch(ctx, c, p.farBulk, func(int) {}) })
}

func upload(ctx context.Context, d *door, p plan) (sample, error) {
	return timed(p.bulk, func(c *http.Client) error { return d.send(ctx, c, p.bulk) })
}

// timed times one transfer of n bytes and returns MB/s.
func timed(n int64, transfer func(*http.Client) error) (sample, error) {
	c, done := client()
	defer done()
	start := time.Now()
	if err := transfer(c); err != nil {
		return sample{}, err
	}
	mb := float64(n) / 1e6
	return sample{values: []float64{mb / time.Since(start).Seconds()}, work: mb}, nil
}

// underLoad measures small requests while two downloads run without a pause:
// their 99th percentile, and the rate of the downloads meanwhile.
func underLoad(ctx context.Context, d *door, p plan) (sample, error) {
	loadCtx, cancel := context.WithCancel(ctx)
	var (
		loads  sync.WaitGroup
		bytes  atomic.Int64
		failed = make(chan error, 2)
		moving = make(chan struct{})
		once   sync.Once
	)
	for range cap(failed) {
		loads.Go(func() {
			c, done := client()
			defer done()
			for loadCtx.Err() == nil {
				err := d.fetch(loadCtx, c, p.bulk, func(n int) {
					if bytes.Add(int64(n)) > 1<<20 {
						once.Do(func() { close(moving) })
					}
				})
				if err != nil && loadCtx.Err() == nil {
					failed <- err
					return
				}
			}
		})
	}
	defer loads.Wait()
	defer cancel()
	select {
	case <-moving:
	case err := <-failed:
		return sample{}, err
	case <-ctx.Done():
		return sample{}, ctx.Err()
	}
	before, start := bytes.Load(), time.Now()
	times, err := repeat(ctx, d, p.loadedFor)
	if err != nil {
		return sample{}, err
	}
	moved := float64(bytes.Load()-before) / 1e6
	rate := moved / time.Since(start).Seconds()
	select {
	case err := <-failed:
		return sample{}, err
	default:
	}
	return sample{values: []float64{ms(quantile(times, 0.99)), rate}, work: moved}, nil
}

// cold measures requests over a new TCP connection each: what a caller meets
// that has not spoken to the application for a while.
func cold(ctx context.Context, d *door, p plan) (sample, error) {
	var times []time.Duration
	for range p.coldTimes {
		c, done := client()
		start := time.Now()
		err := d.get(ctx, c)
		times = append(times, time.Since(start))
		done()
		if err != nil {
			return sample{}, err
		}
	}
	return sample{values: []float64{ms(quantile(times, 0.5))}, work: float64(len(times))}, nil
}

func quantile(times []time.Duration, q float64) time.Duration {
	slices.Sort(times)
	return times[min(len(times)-1, int(q*float64(len(times))))]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
