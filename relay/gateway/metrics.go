package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the gateway. Labels have few values: a mode, and the class of a
// status or the code of an error; never a connection.
type metrics struct {
	inFlight prometheus.Gauge
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sallyport_proxy_requests_in_flight",
			Help: "Requests that are being sent through connections now.",
		}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sallyport_proxy_requests_total",
			Help: "Requests sent through connections, by mode and result: the class of the application's status, or the code of an error.",
		}, []string{"mode", "result"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sallyport_proxy_request_duration_seconds",
			Help:    "Time from a request through a connection to the end of its answer, by mode.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"mode"}),
	}
	if r != nil {
		r.MustRegister(m.inFlight, m.requests, m.duration)
	}
	return m
}

func (m *metrics) observe(mode, result string, took time.Duration) {
	m.requests.WithLabelValues(mode, result).Inc()
	m.duration.WithLabelValues(mode).Observe(took.Seconds())
}
