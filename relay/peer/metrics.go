package peer

import "github.com/prometheus/client_golang/prometheus"

// metrics are what ops see of the relays among each other at /metrics.
type metrics struct {
	registerer prometheus.Registerer
	collectors []prometheus.Collector
	requests   *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer, p *Peers) *metrics {
	m := &metrics{
		registerer: registerer,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sallyport_peer_requests_total",
			Help: "Requests between relays, by direction and code: ok where the application answered, not_there where the other relay held no tunnel of the agent any more.",
		}, []string{"direction", "code"}),
	}
	m.collectors = []prometheus.Collector{
		m.requests,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sallyport_peers", Help: "Other relays that live, and say where they take requests."},
			func() float64 { known, _ := p.counts(); return float64(known) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sallyport_peers_connected", Help: "Other relays that this one has a connection to."},
			func() float64 { _, up := p.counts(); return float64(up) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sallyport_peer_requests_in_flight", Help: "Requests under way by way of other relays."},
			func() float64 { return float64(p.underWay.Load()) }),
	}
	if registerer != nil {
		registerer.MustRegister(m.collectors...)
	}
	return m
}

func (m *metrics) sent(code string)   { m.requests.WithLabelValues("sent", code).Inc() }
func (m *metrics) served(code string) { m.requests.WithLabelValues("served", code).Inc() }

// unregister lets a later relay of the same program register its own.
func (m *metrics) unregister() {
	if m.registerer != nil {
		for _, c := range m.collectors {
			m.registerer.Unregister(c)
		}
	}
}

func (p *Peers) counts() (known, up int) {
	up = len(p.connected())
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links), up
}
