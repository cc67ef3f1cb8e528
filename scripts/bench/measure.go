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
	name    string
	unit    string
	more    bool // more is better
	far     bool // measured over the long path
	second  *row // a second figure that the same measurement yields
	measure func(ctx context.Context, d *door, p plan) ([]float64, error)
}

// rows are in the order of the design's table.
func rows() []*row {
	return []*row{
		{name: "small GET, 1 client, median", unit: "ms", measure: oneClient},
		{name: "small GET, 32 clients", unit: "req/s", more: true, measure: manyClients},
		{name: "download", unit: "MB/s", more: true, measure: download},
		{name: "upload", unit: "MB/s", more: true, measure: upload},
		{name: "small GET p99 while 2 downloads run", unit: "ms", measure: underLoad,
			second: &row{name: "those downloads meanwhile", unit: "MB/s", more: true}},
		{name: "download at 80 ms round trip", unit: "MB/s", more: true, far: true, measure: farDownload},
		{name: "cold plain request at 80 ms", unit: "ms", far: true, measure: cold},
	}
}

func oneClient(ctx context.Context, d *door, p plan) ([]float64, error) {
	times, err := repeat(ctx, d, p.smallFor)
	if err != nil {
		return nil, err
	}
	return []float64{ms(quantile(times, 0.5))}, nil
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

func manyClients(ctx context.Context, d *door, p plan) ([]float64, error) {
	c, done := client()
	defer done()
	var (
		all    sync.WaitGroup
		count  atomic.Int64
		failed = make(chan error, 32)
	)
	began := time.Now()
	for range cap(failed) {
		all.Go(func() {
			for time.Since(began) < p.smallFor {
				if err := d.get(ctx, c); err != nil {
					failed <- err
					return
				}
				count.Add(1)
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	select {
	case err := <-failed:
		return nil, err
	default:
	}
	return []float64{float64(count.Load()) / took.Seconds()}, nil
}

func download(ctx context.Context, d *door, p plan) ([]float64, error) {
	return timed(p.bulk, func(c *http.Client) error { return d.fetch(ctx, c, p.bulk, func(int) {}) })
}

func farDownload(ctx context.Context, d *door, p plan) ([]float64, error) {
	return timed(p.farBulk, func(c *http.Client) error { return d.fetch(ctx, c, p.farBulk, func(int) {}) })
}

func upload(ctx context.Context, d *door, p plan) ([]float64, error) {
	return timed(p.bulk, func(c *http.Client) error { return d.send(ctx, c, p.bulk) })
}

// timed times one transfer of n bytes and returns MB/s.
func timed(n int64, transfer func(*http.Client) error) ([]float64, error) {
	c, done := client()
	defer done()
	start := time.Now()
	if err := transfer(c); err != nil {
		return nil, err
	}
	return []float64{float64(n) / 1e6 / time.Since(start).Seconds()}, nil
}

// underLoad measures small requests while two downloads run without a pause:
// their 99th percentile, and the rate of the downloads meanwhile.
func underLoad(ctx context.Context, d *door, p plan) ([]float64, error) {
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
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	before, start := bytes.Load(), time.Now()
	times, err := repeat(ctx, d, p.loadedFor)
	if err != nil {
		return nil, err
	}
	rate := float64(bytes.Load()-before) / 1e6 / time.Since(start).Seconds()
	select {
	case err := <-failed:
		return nil, err
	default:
	}
	return []float64{ms(quantile(times, 0.99)), rate}, nil
}

// cold measures requests over a new TCP connection each: what a caller meets
// that has not spoken to the application for a while.
func cold(ctx context.Context, d *door, p plan) ([]float64, error) {
	var times []time.Duration
	for range p.coldTimes {
		c, done := client()
		start := time.Now()
		err := d.get(ctx, c)
		times = append(times, time.Since(start))
		done()
		if err != nil {
			return nil, err
		}
	}
	return []float64{ms(quantile(times, 0.5))}, nil
}

func quantile(times []time.Duration, q float64) time.Duration {
	slices.Sort(times)
	return times[min(len(times)-1, int(q*float64(len(times))))]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
