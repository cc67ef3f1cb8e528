package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sallyport/agent/egress"
)

// chooseProxy finds out which way leads to the relay, and who says so.
func (e *examination) chooseProxy() {
	e.onTheWay(CheckProxy, "", func(r *Result) {
		way, err := e.Egress.Way(e.relay)
		if err != nil {
			r.fail(sentence(err.Error()), "Correct the proxy setting: proxy in agent.yaml, or the environment variable.")
			return
		}
		r.Facts["source"] = way.Source
		if way.PAC != "" {
			r.Facts["pac"] = way.PAC
		}
		if len(way.Notes) > 0 {
			r.Facts["notes"] = way.Notes
		}
		message := fmt.Sprintf("The relay is reached directly (%s).", way.Source)
		if way.Proxy != nil {
			e.proxy = way.Proxy
			r.Facts["proxy"] = way.Proxy.Redacted()
			message = fmt.Sprintf("The relay is reached through the proxy %s (%s).", way.Proxy.Redacted(), way.Source)
		}
		for _, note := range way.Notes {
			message += " " + sentence(note)
		}
		if way.PAC != "" && way.Proxy == nil {
			r.warn(message, fmt.Sprintf("This machine's settings name the script %s, which the agent does not evaluate: ask which proxy it gives for %s, and set proxy to that.", way.PAC, e.relay.Host))
			return
		}
		r.pass(message)
	})
}

// tunnelling asks the proxy for a connection to the relay: the CONNECT method,
// or SOCKS5, with its login where it wants one.
func (e *examination) tunnelling(ctx context.Context) {
	if e.proxy == nil {
		return
	}
	e.onTheWay(CheckTunnelling, e.proxy.Host, func(r *Result) {
		ctx, cancel := context.WithTimeout(ctx, e.Step)
		defer cancel()
		started := time.Now()
		conn, err := e.Egress.Dial(ctx, e.relay)
		if err == nil {
			_ = conn.Close()
			r.pass(fmt.Sprintf("The proxy connects to %s (%.1f ms).", hostPort(e.relay), ms(time.Since(started))))
			return
		}
		explainDial(r, e.relay.Host, err, fmt.Sprintf("Ask whoever runs the proxy to allow CONNECT to %s.", hostPort(e.relay)))
		if e.reachableDirectly(ctx) {
			r.Facts["reachableDirectly"] = true
			r.Remedy += " Without the proxy the relay can be reached from here: proxy: none (--proxy none) would do as well."
		}
	})
}

// reachableDirectly tries the way around a proxy that does not let through.
func (e *examination) reachableDirectly(ctx context.Context) bool {
	addresses, err := (&servers{}).resolver().LookupNetIP(ctx, "ip", e.relay.Hostname())
	if err != nil || len(addresses) == 0 {
		return false
	}
	return e.try(ctx, addresses[0].Unmap(), portOf(e.relay)).Error == ""
}

// explainDial settles r by why the way out has failed. remedy is for a failure
// that brings none of its own.
func explainDial(r *Result, host string, err error, remedy string) {
	var dial *egress.DialError
	if !errors.As(err, &dial) {
		dial = egress.Explain(host, err)
	}
	r.Facts["fault"] = string(dial.Fault)
	if dial.Status != 0 {
		r.Facts["httpStatus"] = dial.Status
	}
	if len(dial.Offered) > 0 {
		r.Facts["offered"] = dial.Offered
	}
	if dial.Scheme != "" {
		r.Facts["refusedScheme"] = dial.Scheme
	}
	if dial.Remedy != "" {
		remedy = sentence(dial.Remedy)
	}
	r.fail(sentence(dial.Text), remedy)
}
