package health

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// metrics of the room. Labels have few values: a state, a kind; never a
// connection.
type metrics struct {
	checks  *prometheus.CounterVec
	took    prometheus.Histogram
	notices *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer, w *Watch) *metrics {
	m := &metrics{
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sallyport_health_pings_total",
			Help: "Scheduled pings of this relay, by what they found: online, failing, offline or unknown.",
		}, []string{"found"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "sallyport_health_ping_duration_seconds",
			Help:    "Time of a scheduled ping, with the sign-in where there was one.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}),
		notices: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sallyport_notices_total",
			Help: "Attempts of this relay to deliver a notice, by kind and result: delivered or failed.",
		}, []string{"kind", "result"}),
	}
	if r != nil {
		r.MustRegister(m.checks, m.took, m.notices, census{w})
	}
	return m
}

func (m *metrics) checked(found State, took time.Duration) {
	m.checks.WithLabelValues(string(found)).Inc()
	m.took.Observe(took.Seconds())
}

func (m *metrics) told(kind string, delivered bool) {
	result := "failed"
	if delivered {
		result = "delivered"
	}
	m.notices.WithLabelValues(kind, result).Inc()
}

// census counts connections by state when it is scraped: of all relays that
// share the store, so each says the same.
type census struct{ watch *Watch }

var connectionsDesc = prometheus.NewDesc("sallyport_connections",
	"Connections by state: online, failing, offline or unknown. Relays that share a database say the same.", []string{"state"}, nil)

// censusTimeout bounds what a scrape may cost.
const censusTimeout = 2 * time.Second

// Describe implements prometheus.Collector.
func (census) Describe(descs chan<- *prometheus.Desc) { descs <- connectionsDesc }

// Collect implements prometheus.Collector.
func (c census) Collect(found chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), censusTimeout)
	defer cancel()
	counts, err := c.watch.Store.CountHealth(ctx)
	if err != nil {
		c.watch.Log.Warn("connections can't be counted", zap.Error(err))
		return
	}
	for _, state := range []State{Online, Failing, Offline, Unknown} {
		found <- prometheus.MustNewConstMetric(connectionsDesc, prometheus.GaugeValue, float64(counts[string(state)]), string(state))
	}
}
