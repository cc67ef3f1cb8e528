package main

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

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
	c, done := d.client()
	defer done()
	for range 5 {
		if err := d.get(ctx, c, "/small"); err != nil {
			return nil, err
		}
	}
	var times []time.Duration
	for began := time.Now(); len(times) == 0 || time.Since(began) < during; {
		start := time.Now()
		if err := d.get(ctx, c, "/small"); err != nil {
			return nil, err
		}
		times = append(times, time.Since(start))
	}
	return times, nil
}

func manyClients(ctx context.Context, d *door, p plan) (sample, error) {
	c, done := d.client()
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
				if err := d.get(ctx, c, "/small"); err != nil {
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
	return timed(d, p.bulk, func(c *http.Client) error { return d.fetch(ctx, c, p.bulk, func(int) {}) })
}

func upload(ctx context.Context, d *door, p plan) (sample, error) {
	return timed(d, p.bulk, func(c *http.Client) error { return d.send(ctx, c, p.bulk) })
}

// timed times one transfer of n bytes and returns MB/s.
func timed(d *door, n int64, transfer func(*http.Client) error) (sample, error) {
	c, done := d.client()
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
			c, done := d.client()
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

func quantile(times []time.Duration, q float64) time.Duration {
	slices.Sort(times)
	return times[min(len(times)-1, int(q*float64(len(times))))]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
