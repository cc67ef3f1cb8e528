package session

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"

	"sallyport/relay/connection"
	"sallyport/relay/road"
)

// revoke tells the application that a token is not needed any more (RFC 7009): the
// one that refreshes first, which mostly ends the other as well, then the one that
// requests have shown. As signOut, it happens once, and is logged.
func (k *Keeper) revoke(c *connection.Connection, h *Held, why string) {
	token := h.session.Token
	log := k.log.With(zap.String("connection", c.ID), zap.String("session", h.session.ID), zap.String("reason", why))
	ctx, cancel := context.WithTimeout(k.ctx, signOutTimeout)
	defer cancel()
	for _, one := range []struct {
		hint, token string
		useful      bool
	}{{"refresh_token", token.Refresh, token.Refresh != ""}, {"access_token", token.Access, token.live(k.clock())}} {
		if !one.useful {
			continue
		}
		kind := zap.String("kind", one.hint)
		switch status, err := k.revokeOne(ctx, c, one.token, one.hint); {
		case err != nil:
			log.Info("could not revoke the token", kind, zap.String("failure", failureName(err)))
			return // the other one would meet the same
		case status != http.StatusOK:
			log.Info("the application refused to revoke the token", kind, zap.Int("status", status))
		default:
			log.Info("token revoked", kind)
		}
	}
}

// revokeOne asks the revocation endpoint as the token endpoint is asked: with the
// client's own credentials (RFC 6749, section 2.3.1), on the connection's road.
func (k *Keeper) revokeOne(ctx context.Context, c *connection.Connection, token, hint string) (status int, err error) {
	marks := &connection.Marks{}
	client, err := c.OAuth2Client(marks)
	if err != nil {
		return 0, err
	}
	at, err := c.URL(c.Auth.OAuth2.RevocationURI, marks)
	if err != nil {
		return 0, err
	}
	form := url.Values{"token": {token}, "token_type_hint": {hint}}
	if client.InBody {
		form.Set("client_id", client.ID)
		if client.Secret != "" {
			form.Set("client_secret", client.Secret)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if !client.InBody {
		req.SetBasicAuth(url.QueryEscape(client.ID), url.QueryEscape(client.Secret))
	}
	web, _ := road.Client(road.Hasty(k.roads.For(c), time.Second), c, "", signOutTimeout, marks)
	resp, err := web.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
