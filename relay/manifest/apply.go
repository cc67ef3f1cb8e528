package manifest

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"sallyport/proto"
	"sallyport/relay/client"
)

// Apply does what a plan says, one connection after the other, and reports each.
// A connection that somebody has saved since the plan was made is left as they
// saved it; that and other failures are reported, and the rest goes on. It
// returns how many failed.
func (p *Plan) Apply(ctx context.Context, report func(Change, error)) (failed int) {
	for _, c := range p.Changes {
		if c.Action == Keep {
			continue
		}
		err := ctx.Err()
		if err == nil {
			err = c.apply(ctx, p.client)
		}
		if err != nil {
			failed++
		}
		report(c, err)
	}
	return failed
}

func (c *Change) apply(ctx context.Context, to *client.Client) error {
	var err error
	if c.Action == Delete {
		_, err = to.DoRaw(ctx, "DELETE", "/api/v1/connections/"+c.id, http.Header{"If-Match": {strconv.Quote(fmt.Sprint(c.version))}}, nil)
		if client.Is(err, proto.CodeNotFound) {
			return nil // somebody else has deleted it
		}
	} else {
		_, err = c.send(ctx, to, false)
	}
	if c.Document != nil {
		if told := c.Document.told(err); told != nil {
			return told
		}
	}
	if client.Is(err, proto.CodeConflict) {
		return fmt.Errorf("%s Nothing of it was overwritten; apply again to see the difference", client.AsError(err).Detail)
	}
	return err
}
