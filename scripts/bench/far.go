package main

import (
	"context"
	"net/http"
	"time"
)

// cold measures requests over a new connection each, from the client and to the
// target: what a caller meets that has not spoken to the application for a
// while. The second figure is the same in round trips.
func cold(secure bool) func(context.Context, *door, plan) (sample, error) {
	return func(ctx context.Context, d *door, p plan) (sample, error) {
		if d = d.to(secure); d == nil {
			return sample{}, nil
		}
		return onTheLongPath(p.coldTimes, func() error {
			c, done := d.client()
			defer done()
			return d.get(ctx, c, "/small?close")
		})
	}
}

// signInAndPing measures what Test does: a sign-in, then a ping with its cookie.
// Sallyport does it when told to; by the other ways the client does it.
func signInAndPing(secure bool) func(context.Context, *door, plan) (sample, error) {
	return func(ctx context.Context, d *door, p plan) (sample, error) {
		if d = d.to(secure); d == nil {
			return sample{}, nil
		}
		return onTheLongPath(p.testTimes, func() error {
			c, done := d.client()
			defer done()
			if d.test != nil {
				return d.test(ctx, c)
			}
			if err := d.signIn(ctx, c); err != nil {
				return err
			}
			return d.get(ctx, c, "/small")
		})
	}
}

// onTheLongPath takes the median of some times, in ms and in round trips.
func onTheLongPath(times int, once func() error) (sample, error) {
	var took []time.Duration
	for range times {
		start := time.Now()
		if err := once(); err != nil {
			return sample{}, err
		}
		took = append(took, time.Since(start))
	}
	median := quantile(took, 0.5)
	return sample{values: []float64{ms(median), median.Seconds() / roundTrip.Seconds()}, work: float64(times)}, nil
}

func farDownload(ctx context.Context, d *door, p plan) (sample, error) {
	return timed(d, p.farBulk, func(c *http.Client) error { return d.fetch(ctx, c, p.farBulk, func(int) {}) })
}

func farUpload(ctx context.Context, d *door, p plan) (sample, error) {
	return timed(d, p.farBulk, func(c *http.Client) error { return d.send(ctx, c, p.farBulk) })
}
