package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"sallyport/internal/buildinfo"
	"sallyport/internal/gcpace"
	"sallyport/internal/logging"
	"sallyport/internal/processors"
	"sallyport/relay/config"
)

func newServe(o outside) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the relay",
		Long: "Run the relay until it is told to stop. The first SIGTERM or Ctrl-C lets requests under way end;\n" +
			"a second one stops at once.",
		Args: cobra.NoArgs,
	}
	load := addOptions(cmd, o)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := load()
		if err != nil {
			return err
		}
		return serve(cmd.Context(), c, o)
	}
	return cmd
}

// garbageHeadroom is how much garbage the relay lets gather, in bytes: little
// beside what a busy one holds.
const garbageHeadroom = 64 << 20

// serve runs the relay until ctx ends. Then it lets everybody move to another
// relay, where a drain delay is set, and requests under way finish within the
// drain timeout.
func serve(ctx context.Context, c *config.Config, o outside) (err error) {
	gcpace.Relax(garbageHeadroom)
	lines := logging.Buffered(o.err)
	defer lines.Close()
	log, _, err := logging.New(logging.Options{Format: c.LogFormat, Level: c.LogLevel, Output: lines})
	if err != nil {
		return err
	}
	defer processors.Follow(log)()
	// The port first: a second relay on it must not touch the database.
	plain, err := listen(c.Listen)
	if err != nil {
		return err
	}
	defer plain.Close()
	listener := plain
	if c.TLSCert != "" {
		if listener, err = withTLS(plain, c.TLSCert, c.TLSKey); err != nil {
			return err
		}
	}
	var metrics net.Listener
	if c.MetricsListen != "" {
		if metrics, err = listen(c.MetricsListen); err != nil {
			return fmt.Errorf("metrics-listen: %w", err)
		}
		defer metrics.Close()
	}
	var peers net.Listener
	if c.PeerListen != "" {
		if peers, err = listen(c.PeerListen); err != nil {
			return fmt.Errorf("peer-listen: %w", err)
		}
		defer peers.Close()
	}
	public := c.PublicURLFor(listener.Addr())
	r, err := build(ctx, c, listeners{main: listener, peers: peers}, log)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, r.close())
		log.Info("relay stopped")
	}()

	// Before anything is served: who sees the relay ready may use the token.
	link, err := r.firstStart(ctx, c)
	if err != nil {
		return err
	}
	servers := []*server{startServer(plain, listener, r.handler, log)}
	if metrics != nil {
		servers = append(servers, startServer(metrics, metrics, r.metricsOnly, log))
	}
	log.Info("relay started", zap.String("version", buildinfo.Version()), zap.Stringer("listen", listener.Addr()),
		zap.Stringer("publicUrl", public), zap.String("database", r.store.Engine()))
	welcome(o.out, public, link)
	failed := waitFor(ctx, servers)

	log.Info("relay stopping", zap.Duration("drainDelay", c.DrainDelay), zap.Duration("drainTimeout", c.DrainTimeout))
	r.leaving.Store(true)
	if c.DrainDelay > 0 && failed == nil {
		r.moveAway(c.DrainDelay, log)
	}
	drain, cancel := context.WithTimeout(context.Background(), c.DrainTimeout)
	defer cancel()
	r.stopping()
	r.hub.Leave()
	var stops sync.WaitGroup
	for _, s := range servers {
		stops.Go(func() { s.stop(drain) })
	}
	if r.peers != nil {
		stops.Go(func() {
			if err := r.peers.Leave(drain); err != nil {
				log.Warn("requests of other relays were cut", zap.Error(err))
			}
		})
	}
	stops.Wait()
	if err := r.hub.Drain(drain); err != nil {
		log.Warn("tunnels did not drain in time", zap.Error(err))
	}
	return failed
}

// listeners are the sockets of a relay that others are told of.
type listeners struct {
	main  net.Listener
	peers net.Listener // nil: other relays can't send requests here
}

// peerAddress is where other relays reach this one; "": they don't.
func (l listeners) peerAddress(c *config.Config) string {
	if l.peers == nil {
		return ""
	}
	return c.PeerAddressFor(l.peers.Addr())
}

// moveAway lets everybody move to another relay while this one serves as
// before: first the load balancer, which reads /readyz, and then the agents,
// which come through it. They too get a delay's time. (A signal ends the
// process meanwhile.)
func (r *relay) moveAway(delay time.Duration, log *zap.Logger) {
	time.Sleep(delay)
	spread := r.hub.Leave()
	ctx, cancel := context.WithTimeout(context.Background(), spread+delay)
	defer cancel()
	if r.hub.Moved(ctx) != nil {
		log.Warn("not all agents have found another relay")
	}
}
