package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// maxBody is the largest JSON document that the application reads.
const maxBody = 1 << 20

// warehouse is the application.
type warehouse struct {
	user, password string
	now            func() time.Time
	sessions       *sessions

	mu     sync.Mutex // guards the following
	orders []order
}

type order struct {
	ID       int       `json:"id"`
	Customer string    `json:"customer"`
	Item     string    `json:"item"`
	Quantity int       `json:"quantity"`
	State    string    `json:"state"`
	PlacedAt time.Time `json:"placedAt"`
}

func newWarehouse(user, password string, lifetime time.Duration, now func() time.Time) *warehouse {
	w := &warehouse{
		user: user, password: password, now: now,
		sessions: &sessions{lifetime: lifetime, now: now, ends: make(map[string]time.Time)},
	}
	for i, o := range []order{
		{Customer: "Alder & Sons", Item: "Pallet jack", Quantity: 2, State: "shipped"},
		{Customer: "Birch Foods", Item: "Shelf, 2 m", Quantity: 14, State: "picking"},
		{Customer: "Cedar Optics", Item: "Foam box", Quantity: 500, State: "open"},
	} {
		o.ID, o.PlacedAt = 1001+i, now().UTC().Add(-time.Duration(3-i)*26*time.Hour).Truncate(time.Second)
		w.orders = append(w.orders, o)
	}
	return w
}

// routes is every door of the application.
func (w *warehouse) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/session", w.signIn)
	mux.HandleFunc("DELETE /api/session", w.signOut)
	mux.HandleFunc("GET /api/me", w.signedIn(w.me))
	mux.HandleFunc("GET /api/orders", w.signedIn(w.listOrders))
	mux.HandleFunc("POST /api/orders", w.signedIn(w.placeOrder))
	mux.HandleFunc("GET /api/orders/{id}", w.signedIn(w.showOrder))
	mux.HandleFunc("GET /api/files/{megabytes}", w.signedIn(w.download))
	mux.HandleFunc("POST /api/files", w.signedIn(w.upload))
	mux.HandleFunc("GET /api/clock", w.signedIn(w.clock))
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprintln(rw, "ok") })
	mux.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) {
		fail(rw, http.StatusNotFound, "not_found", "There is no "+r.Method+" "+r.URL.Path+" here.")
	})
	return mux
}

func (w *warehouse) me(rw http.ResponseWriter, _ *http.Request) {
	answer(rw, http.StatusOK, map[string]any{
		"ok": true, "user": w.user, "site": "Plant 2", "signIns": w.sessions.signIns(),
	})
}

func (w *warehouse) listOrders(rw http.ResponseWriter, r *http.Request) {
	state := r.URL.Query().Get("state")
	w.mu.Lock()
	found := []order{}
	for _, o := range w.orders {
		if state == "" || o.State == state {
			found = append(found, o)
		}
	}
	w.mu.Unlock()
	answer(rw, http.StatusOK, map[string]any{"ok": true, "orders": found})
}

func (w *warehouse) placeOrder(rw http.ResponseWriter, r *http.Request) {
	var in struct {
		Customer, Item string
		Quantity       int
	}
	if !readJSON(rw, r, &in) {
		return
	}
	if in.Customer == "" || in.Item == "" || in.Quantity < 1 {
		fail(rw, http.StatusUnprocessableEntity, "invalid_order", "An order has a customer, an item and a quantity of at least 1.")
		return
	}
	w.mu.Lock()
	placed := order{
		ID: 1001 + len(w.orders), Customer: in.Customer, Item: in.Item, Quantity: in.Quantity,
		State: "open", PlacedAt: w.now().UTC().Truncate(time.Second),
	}
	w.orders = append(w.orders, placed)
	w.mu.Unlock()
	rw.Header().Set("Location", fmt.Sprintf("/api/orders/%d", placed.ID))
	answer(rw, http.StatusCreated, placed)
}

func (w *warehouse) showOrder(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.orders {
		if strconv.Itoa(o.ID) == r.PathValue("id") {
			answer(rw, http.StatusOK, o)
			return
		}
	}
	fail(rw, http.StatusNotFound, "no_such_order", "There is no order "+r.PathValue("id")+".")
}

// download sends a file of so many megabytes, all zero.
func (w *warehouse) download(rw http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("megabytes"))
	if err != nil || n < 0 || n > 10_000 {
		fail(rw, http.StatusNotFound, "no_such_file", "Files have 0 to 10000 megabytes: GET /api/files/100.")
		return
	}
	rw.Header().Set("Content-Type", "application/octet-stream")
	rw.Header().Set("Content-Length", strconv.Itoa(n<<20))
	megabyte := make([]byte, 1<<20)
	for range n {
		if _, err := rw.Write(megabyte); err != nil {
			return // the caller has gone
		}
	}
}

// upload reads a file of any size and tells its size and SHA-256.
func (w *warehouse) upload(rw http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	n, err := io.Copy(sum, r.Body)
	if err != nil {
		return // the caller has gone
	}
	answer(rw, http.StatusOK, map[string]any{"ok": true, "bytes": n, "sha256": hex.EncodeToString(sum.Sum(nil))})
}

// clock sends the time every second as server-sent events, for as long as the
// caller listens.
func (w *warehouse) clock(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", "text/event-stream")
	rw.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(rw)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if _, err := fmt.Fprintf(rw, "event: tick\ndata: {\"now\":%q}\n\n", w.now().UTC().Format(time.RFC3339)); err != nil {
			return
		}
		if err := out.Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

// readJSON reads the request's body into v, or answers why it can't.
func readJSON(rw http.ResponseWriter, r *http.Request, v any) bool {
	err := json.NewDecoder(http.MaxBytesReader(rw, r.Body, maxBody)).Decode(v)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		fail(rw, http.StatusRequestEntityTooLarge, "too_large", "The body is larger than 1 MiB.")
	case err != nil:
		fail(rw, http.StatusBadRequest, "invalid_json", "The body is not the JSON object that is expected: "+err.Error())
	}
	return err == nil
}

func answer(rw http.ResponseWriter, status int, v any) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	// An error here means that the caller has gone.
	_ = json.NewEncoder(rw).Encode(v)
}

func fail(rw http.ResponseWriter, status int, code, message string) {
	answer(rw, status, map[string]any{"ok": false, "error": code, "message": message})
}
