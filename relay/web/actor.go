package web

import (
	"context"

	"sallyport/relay/account"
)

type actorKey struct{}

// withActor keeps who asks, for the error page that may have to be shown later.
func withActor(ctx context.Context, actor account.Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

func actorOf(ctx context.Context) account.Actor {
	actor, _ := ctx.Value(actorKey{}).(account.Actor)
	return actor
}
