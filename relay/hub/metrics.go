package hub

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/proto"
)

// metrics are what ops see of the hub at /metrics. What can be read off the
// hub is read when it is asked for, and costs a request nothing.
type metrics struct {
	registerer prometheus.Registerer
	collectors []prometheus.Collector
	refusals   *prometheus.CounterVec
	requests   *prometheus.HistogramVec
	retries    prometheus.Counter
	waits      *prometheus.HistogramVec
	limits     *prometheus.CounterVec

	mu             sync.Mutex // guards the following
	received, sent int64      // bytes of tunnels that are gone
}

func newMetrics(registerer prometheus.Registerer, h *Hub) *metrics {
	m := &metrics{
		registerer: registerer,
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sallyport_tunnels_refused_total", Help: "Tunnels that were refused, by reason.",
		}, []string{"reason"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sallyport_tunnel_request_duration_seconds", Help: "Time from a request until the header of its answer, by code; ok where the application answered.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"code"}),
		waits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sallyport_tunnel_request_wait_seconds", Help: "How long requests waited for an agent that was away, or busy, by code; ok where they were then sent.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30, 60, 300},
		}, []string{"code"}),
		limits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sallyport_tunnel_requests_limited_total", Help: "Requests that met a limit of the tunnels, by limit.",
		}, []string{"limit"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sallyport_tunnel_request_retries_total", Help: "Requests that were sent again over another tunnel.",
		}),
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	bytes := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value)
	}
	m.collectors = []prometheus.Collector{
		m.refusals, m.requests, m.retries, m.waits, m.limits,
		gauge("sallyport_tunnels", "Tunnels that are up.", func() float64 { return float64(h.counted(func(a *agent) int { return len(a.tunnels) })) }),
		gauge("sallyport_agents_online", "Agents with at least one tunnel up.", func() float64 { return float64(h.counted(func(a *agent) int { return min(len(a.tunnels), 1) })) }),
		gauge("sallyport_tunnel_requests_in_flight", "Requests under way in tunnels.", func() float64 { return float64(h.flight.count()) }),
		gauge("sallyport_tunnel_requests_waiting", "Requests that wait for an agent that is away or busy.", func() float64 { return float64(h.waitingNow()) }),
		gauge("sallyport_tunnel_large_windows_bytes", "What answers may take beyond 256 KiB each while their callers do not read them; at most 128 MiB.", func() float64 { return float64(h.unread.Taken()) }),
		bytes("sallyport_tunnel_received_bytes_total", "Bytes received through tunnels.", func() float64 { r, _ := m.traffic(h); return r }),
		bytes("sallyport_tunnel_sent_bytes_total", "Bytes sent through tunnels.", func() float64 { _, s := m.traffic(h); return s }),
	}
	if registerer != nil {
		registerer.MustRegister(m.collectors...)
	}
	return m
}

// unregister lets a later hub of the same program register its own.
func (m *metrics) unregister() {
	if m.registerer != nil {
		for _, c := range m.collectors {
			m.registerer.Unregister(c)
		}
	}
}

func (m *metrics) refused(reason string) { m.refusals.WithLabelValues(reason).Inc() }

func (m *metrics) answered(code string, took time.Duration) {
	m.requests.WithLabelValues(code).Observe(took.Seconds())
}

// waited notes the end of a wait: with an error, or with a request that could
// be sent.
func (m *metrics) waited(e *proto.Error, took time.Duration) {
	code := "ok"
	if e != nil {
		code = string(e.Code)
	}
	m.waits.WithLabelValues(code).Observe(took.Seconds())
}

// limited counts a request that met a limit.
func (m *metrics) limited(limit string) { m.limits.WithLabelValues(limit).Inc() }

// ended keeps the traffic of a tunnel that is gone; the hub's mu is held, so
// that no reader finds it twice or not at all.
func (m *metrics) ended(received, sent int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.received += received
	m.sent += sent
}

func (m *metrics) traffic(h *Hub) (received, sent float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m.mu.Lock()
	totalReceived, totalSent := m.received, m.sent
	m.mu.Unlock()
	for _, a := range h.agents {
		for _, t := range a.tunnels {
			r, s := t.conn.Traffic()
			totalReceived += r
			totalSent += s
		}
	}
	return float64(totalReceived), float64(totalSent)
}

// Waiting is how many requests wait for an agent here.
func (h *Hub) Waiting(agentID string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a := h.agents[agentID]; a != nil {
		return len(a.waiting)
	}
	return 0
}

func (h *Hub) waitingNow() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.waiting
}

// counted adds up what there is of something at each agent.
func (h *Hub) counted(of func(*agent) int) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.agents {
		n += of(a)
	}
	return n
}
