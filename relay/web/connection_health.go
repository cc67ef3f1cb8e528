package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"sallyport/relay/account"
	"sallyport/relay/health"
	"sallyport/relay/registry"
)

// Watch says how connections do. *health.Watch implements it.
type Watch interface {
	Report(ctx context.Context, actor account.Actor, id string, results int) (health.Report, error)
	SendTest(ctx context.Context, actor account.Actor, id string) ([]health.Sent, error)
}

// connectionStatus is a connection's state as it is shown: a shape and a word.
type connectionStatus struct {
	Icon, Class, Word, Message string
	Since                      time.Time // zero: not shown
}

func statusOfConnection(s registry.ConnectionStatus) connectionStatus {
	switch health.State(s.State) {
	case health.Online:
		return connectionStatus{Icon: "online", Class: "online", Word: "Online", Message: s.Message}
	case health.Failing:
		return connectionStatus{Icon: "failed", Class: "failed", Word: "Failing since", Since: s.Since, Message: s.Message}
	case health.Offline:
		return connectionStatus{Icon: "offline", Class: "offline", Word: "Offline since", Since: s.Since, Message: s.Message}
	}
	return connectionStatus{Icon: "", Class: "untested", Word: "Not known yet", Message: s.Message}
}

// Known reports whether pings have found anything.
func (s connectionStatus) Known() bool { return s.Icon != "" }

// healthView is the card Health of a connection's page.
type healthView struct {
	ID          string
	Status      connectionStatus
	CheckedAt   time.Time
	NextAt      time.Time
	Day, Week   string
	Spark       *sparkline
	Changes     []changeRow
	Deliveries  []deliveryRow
	MayEdit     bool
	TellsAnyone bool
	Sent        []health.Sent // of the test notice that was just sent
}

type changeRow struct {
	Status      connectionStatus
	At          time.Time
	Lasted      string // "": it lasts
	Message     string
	Differences []health.Difference
}

type deliveryRow struct {
	Icon, Class, Word, Recipient, What, Failure string
	At                                          time.Time
}

const (
	// changesShown and deliveriesShown are how many lines the card has of each.
	changesShown    = 20
	deliveriesShown = 5
	// pingsShown is how many pings the sparkline has.
	pingsShown = 60
)

func (h *handler) healthOf(ctx context.Context, actor account.Actor, c registry.Connection) (*healthView, error) {
	r, err := h.Watch.Report(ctx, actor, c.ID, pingsShown)
	if err != nil {
		return nil, err
	}
	view := &healthView{ID: c.ID, Status: statusOfConnection(c.Status), CheckedAt: r.CheckedAt, NextAt: r.NextAt,
		Day: percent(r.Day), Week: percent(r.Week), MayEdit: actor.MayEdit(),
		TellsAnyone: c.Health != nil && (c.Health.Webhook != "" || len(c.Health.Emails) > 0)}
	var latencies []float64
	for _, one := range slices.Backward(r.Results) {
		if one.State == health.Online {
			latencies = append(latencies, one.LatencyMs)
		}
	}
	view.Spark = sparklineOf(latencies)
	for i, change := range r.Changes[:min(len(r.Changes), changesShown)] {
		row := changeRow{At: change.At, Message: change.Message, Differences: change.Differences,
			Status: statusOfConnection(registry.ConnectionStatus{State: string(change.State)})}
		row.Status.Word = capital(string(change.State))
		if i > 0 {
			row.Lasted = lasting(r.Changes[i-1].At.Sub(change.At))
		}
		view.Changes = append(view.Changes, row)
	}
	for _, d := range r.Notices[:min(len(r.Notices), deliveriesShown)] {
		view.Deliveries = append(view.Deliveries, deliveryRowOf(d))
	}
	return view, nil
}

// percent shows an availability; "" where nothing was pinged.
func percent(a health.Availability) string {
	switch p := a.Percent(); {
	case p < 0:
		return ""
	case a.OK == a.Pings:
		return "100 %"
	default:
		return fmt.Sprintf("%.2f %%", min(p, 99.99)) // never rounded up to what it is not
	}
}

// lasting shows for how long something was so.
func lasting(d time.Duration) string {
	switch {
	case d < time.Minute:
		return plural(int(d.Seconds()), "second")
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return plural(int(d.Hours()/24), "day")
}

// noticeWords are what a notice told, in the words of these pages.
var noticeWords = map[string]string{
	health.TypeOnline:    "works again",
	health.TypeFailing:   "is failing",
	health.TypeOffline:   "is offline",
	health.TypeUnknown:   "is not watched any more",
	health.TypeUnsettled: "changes often",
	health.TypeTest:      "test notice",
}

func deliveryRowOf(d health.Delivery) deliveryRow {
	row := deliveryRow{Recipient: d.Recipient, What: orItself(noticeWords, d.Type), Failure: d.Failure, At: d.At}
	switch {
	case !d.DeliveredAt.IsZero():
		row.Icon, row.Class, row.Word = "ok", "ok", "Delivered"
	case d.NextAt.IsZero():
		row.Icon, row.Class, row.Word = "failed", "failed", "Given up"
	case d.Attempts == 0:
		row.Icon, row.Class, row.Word = "running", "offline", "On its way"
	default:
		row.Icon, row.Class, row.Word = "warn", "warn", "Is tried again"
	}
	return row
}

// sendTestNotice sends a notice to everybody who would be told, and shows what
// came of it.
func (h *handler) sendTestNotice(w http.ResponseWriter, r *http.Request, actor account.Actor) error {
	if err := mayEdit(actor, "send notices"); err != nil {
		return err
	}
	sent, err := h.Watch.SendTest(r.Context(), actor, r.PathValue("id"))
	if err != nil {
		return err
	}
	return h.connectionPage(w, r, actor, http.StatusOK, connectionExtras{sent: sent})
}
