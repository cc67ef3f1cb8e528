package cli

import (
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sallyport/relay/config"
	"sallyport/relay/edge"
	"sallyport/relay/event"
	"sallyport/relay/health"
	"sallyport/relay/hub"
	"sallyport/relay/mail"
	"sallyport/relay/probe"
	"sallyport/relay/registry"
	"sallyport/relay/store"
)

// watchParts are the rooms that the watch over connections needs.
type watchParts struct {
	store    *store.Store
	registry *registry.Registry
	prober   *probe.Prober
	hub      *hub.Hub
	cloud    http.RoundTripper
	events   *event.Bus
	public   *url.URL
	figures  prometheus.Registerer
	log      *zap.Logger
}

func newWatch(c *config.Config, p watchParts) *health.Watch {
	courier := &health.Courier{Road: p.cloud, PublicURL: p.public, Clock: time.Now}
	if c.Mail != nil {
		courier.Mail = mail.NewSender(*c.Mail, nil)
	}
	return health.New(health.Options{Store: p.store, Connections: p.registry, Prober: p.prober, Presence: p.hub, Courier: courier,
		Events: p.events, RequestID: edge.NewRequestID, Clock: time.Now, Log: p.log, Registerer: p.figures})
}
