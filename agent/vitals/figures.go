package vitals

import (
	"cmp"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"sallyport/agent/control"
	"sallyport/agent/ledger"
	"sallyport/agent/link"
	"sallyport/internal/buildinfo"
)

// Figures are the agent's metrics.
type Figures struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	duration prometheus.Histogram
}

// NewFigures makes them; status is asked whenever they are read.
func NewFigures(status func() control.Status) *Figures {
	f := &Figures{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sallyport_agent_requests_total",
			Help: "Requests that have ended, by decision (allowed, denied, paused) and by the application's status class or the code of the failure."}, []string{"decision", "result"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sallyport_agent_body_bytes_total",
			Help: "Bytes of bodies: up to applications, and down from them."}, []string{"direction"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sallyport_agent_request_duration_seconds",
			Help: "From a request's arrival to the end of its answer.", Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}),
	}
	f.registry.MustRegister(f.requests, f.bytes, f.duration, state{status},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return f
}

// Note counts an entry of the ledger.
func (f *Figures) Note(e ledger.Entry) {
	result := e.Code
	if result == "" {
		result = strconv.Itoa(e.Status/100) + "xx"
	}
	f.requests.WithLabelValues(string(e.Decision), result).Inc()
	f.bytes.WithLabelValues("up").Add(float64(e.BytesUp))
	f.bytes.WithLabelValues("down").Add(float64(e.BytesDown))
	f.duration.Observe(e.DurationMs / 1000)
}

// state is what the status tells, as metrics.
type state struct{ status func() control.Status }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("sallyport_agent_"+name, help, labels, nil)
}

var (
	online      = describe("online", "1 while at least one tunnel to the relay is up.")
	paused      = describe("paused", "1 while the site has paused the agent.")
	tunnels     = describe("tunnels", "Tunnels that are up.")
	latency     = describe("relay_latency_seconds", "Round trip of the best tunnel; absent while unknown.")
	inFlight    = describe("requests_in_flight", "Requests under way.")
	stateSince  = describe("state_since_seconds", "Since when the agent is online, or is not, in seconds since 1970.")
	uptime      = describe("uptime_seconds", "How long the agent has been running.")
	lostEntries = describe("ledger_lost_total", "Entries of the ledger that the disk did not take.")
	lostLines   = describe("log_lost_total", "Lines of the log that no output took.")
	clockAhead  = describe("clock_ahead_seconds", "How far this machine's clock is ahead of the relay's.")
	policyInfo  = describe("policy_info", "The policy that applies: its version, its default and how many rules it has.", "version", "default", "rules")
	buildInfo   = describe("build_info", "The program's version.", "version", "commit", "go")
)

// Describe implements prometheus.Collector.
func (s state) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{online, paused, tunnels, latency, inFlight, stateSince, uptime, lostEntries, lostLines, clockAhead, policyInfo, buildInfo} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (s state) Collect(out chan<- prometheus.Metric) {
	st := s.status()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	counter := func(d *prometheus.Desc, value int64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value))
	}
	gauge(online, flag(st.State == link.StateOnline))
	gauge(paused, flag(st.Paused != nil))
	gauge(tunnels, float64(len(st.Tunnels)))
	if st.LatencyMs > 0 {
		gauge(latency, st.LatencyMs/1000)
	}
	gauge(inFlight, float64(st.InFlight))
	if !st.Since.IsZero() {
		gauge(stateSince, float64(st.Since.UnixMilli())/1000)
	}
	gauge(uptime, float64(st.UptimeSeconds))
	counter(lostEntries, st.LostEntries)
	counter(lostLines, st.LostLines)
	gauge(clockAhead, (time.Duration(st.ClockOffsetMs) * time.Millisecond).Seconds())
	if p := st.Policy; p != nil {
		gauge(policyInfo, 1, p.Version, p.Default, strconv.Itoa(p.Rules))
	}
	gauge(buildInfo, 1, cmp.Or(st.Version, "unknown"), buildinfo.Commit(), buildinfo.Go())
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
