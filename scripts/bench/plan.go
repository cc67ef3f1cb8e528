package main

import "time"

// plan is how much is measured.
type plan struct {
	rounds     int
	budget     time.Duration // no new round is begun that would end after this
	warmUp     time.Duration // small requests by each way before the first round
	smallFor   time.Duration // each measurement of small requests
	loadedFor  time.Duration // small requests while downloads run
	bulk       int64         // bytes of a download or upload
	farBulk    int64         // bytes of one over the long path
	coldTimes  int           // requests over the long path
	testTimes  int           // tests over the long path
	idleAgents int           // agents that are connected to weigh one
	quiet      time.Duration // for how long the relay is left alone before it is weighed
}

var (
	full = plan{
		rounds: 5, budget: 320 * time.Second, warmUp: time.Second,
		smallFor: 2 * time.Second, loadedFor: 3 * time.Second,
		bulk: 1 << 30, farBulk: 50 << 20, coldTimes: 9, testTimes: 5, idleAgents: 2000,
		quiet: time.Minute, // it gives memory back after 20 s without a collection
	}
	quick = plan{
		rounds: 1, budget: time.Minute, warmUp: 50 * time.Millisecond,
		smallFor: 200 * time.Millisecond, loadedFor: 300 * time.Millisecond,
		bulk: 16 << 20, farBulk: 4 << 20, coldTimes: 3, testTimes: 2, idleAgents: 30, quiet: time.Second,
	}
)

// roundTrip is that of the long path.
const roundTrip = 80 * time.Millisecond
