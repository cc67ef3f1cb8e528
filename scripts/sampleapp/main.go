// Command sampleapp is Warehouse, a small on-premise application of the kind
// that Sallyport reaches: a REST API behind a cookie sign-in. `make run` starts
// it so that there is something to connect to, and the end-to-end tests use it
// where they need large or endless answers. It keeps everything in memory.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8090", "`address` to listen on")
	user := flag.String("user", "svc", "the `name` that may sign in")
	password := flag.String("password", "warehouse-9", "its `password`; $WAREHOUSE_PASSWORD, where set, comes first")
	lifetime := flag.Duration("session-lifetime", 30*time.Minute, "how long a session lasts after its last use")
	flag.Parse()
	if p := os.Getenv("WAREHOUSE_PASSWORD"); p != "" {
		*password = p
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, newWarehouse(*user, *password, *lifetime, time.Now)); err != nil {
		fmt.Fprintln(os.Stderr, "sampleapp:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, listen string, app *warehouse) error {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           app.routes(),
		ReadHeaderTimeout: 10 * time.Second,
		// Endless answers end with the server.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	fmt.Printf("warehouse listening on http://%s\n", listener.Addr())
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
