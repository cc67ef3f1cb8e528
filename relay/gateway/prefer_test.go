package gateway

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/road"
)

func TestWaitIsReadFromThePreferences(t *testing.T) {
	const none = time.Duration(-1)
	for _, c := range []struct {
		values []string
		want   time.Duration
	}{
		{nil, none},
		{[]string{""}, none},
		{[]string{"wait=10"}, 10 * time.Second},
		{[]string{"Wait = 10"}, 10 * time.Second},
		{[]string{`wait="10"`}, 10 * time.Second},
		{[]string{`wait="1\0"`}, 10 * time.Second},
		{[]string{"wait=0"}, 0},
		{[]string{"respond-async, wait=10"}, 10 * time.Second},
		{[]string{"respond-async", "wait=10"}, 10 * time.Second},
		{[]string{",, ,wait=10"}, 10 * time.Second},
		{[]string{"wait=10; extra; more=\"a,b\", return=minimal"}, 10 * time.Second},
		{[]string{"wait=10, wait=20"}, 10 * time.Second},
		{[]string{"wait=soon, wait=20"}, none},
		{[]string{`note="wait=5, wait=6", wait=7`}, 7 * time.Second},
		{[]string{`note="a \" wait=5,", wait=7`}, 7 * time.Second},
		{[]string{`foo; wait=5`}, none},
		{[]string{"waiting=5"}, none},
		{[]string{"wait"}, none},
		{[]string{"wait="}, none},
		{[]string{`wait=""`}, none},
		{[]string{`wait="10`}, none},
		{[]string{"wait=-1"}, none},
		{[]string{"wait=+1"}, none},
		{[]string{"wait=1.5"}, none},
		{[]string{"wait=99999999999999999999"}, (1<<31 - 1) * time.Second},
	} {
		got, ok := preferredWait(c.values)
		if !ok {
			got = none
		}
		if got != c.want {
			t.Errorf("%q: %s, want %s", c.values, got, c.want)
		}
	}
}

// agentRoad is an on-premise road whose agent comes back after a while.
type agentRoad struct {
	http.RoundTripper
	t     *testing.T
	most  time.Duration
	back  time.Duration  // how long the agent is away; more than most: it stays away
	here  *bool          // it has come back
	asked *time.Duration // the first that was asked for; negative: none, or none in particular
	told  *string        // the option of the request
}

func (r agentRoad) MostWait() time.Duration { return r.most }

func (r agentRoad) Await(_ context.Context, wait time.Duration) (time.Duration, error) {
	if *r.asked < 0 {
		*r.asked = wait
	}
	if wait < 0 {
		wait = r.most
	}
	if *r.here {
		return 0, nil
	}
	if wait < r.back {
		return wait, &proto.Error{Code: proto.CodeAgentOffline, Outcome: proto.OutcomeNotSent, Detail: "Away.", Facts: map[string]string{"retryAfter": "2"}}
	}
	*r.here = true
	return r.back, nil
}

func (r agentRoad) RoundTrip(req *http.Request) (*http.Response, error) {
	*r.told = req.Header.Get(proto.HeaderWait)
	return r.RoundTripper.RoundTrip(req)
}

func (r agentRoad) Road(string) http.RoundTripper { return r }

func TestPreferredWaitBoundsTheHold(t *testing.T) {
	const unasked = time.Duration(-1)
	for _, c := range []struct {
		name, prefer string
		most, back   time.Duration
		asked        time.Duration
		told         string // milliseconds
		applied      string
		status       int
	}{
		{"no preference", "", time.Minute, 0, unasked, "", "", 200},
		{"another preference", "return=minimal", time.Minute, 0, unasked, "", "", 200},
		{"agent is there", "wait=20", time.Minute, 0, 20 * time.Second, "20000", "wait=20", 200},
		{"agent comes back", "wait=20", time.Minute, 5 * time.Second, 20 * time.Second, "15000", "wait=20", 200},
		{"agent stays away", "wait=20", time.Minute, time.Hour, 20 * time.Second, "", "wait=20", 503},
		{"more than may be", "wait=600", time.Minute, 0, time.Minute, "60000", "wait=60", 200},
		{"not at all", "wait=0", time.Minute, 0, 0, "0", "wait=0", 200},
		{"switched off", "wait=20", 0, 0, unasked, "", "", 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, nil)
			var seen string
			s.mux.HandleFunc("/base/x", func(w http.ResponseWriter, r *http.Request) {
				seen = r.Header.Get("Prefer")
				w.Header().Set("Preference-Applied", "return=minimal")
			})
			s.c.Mode, s.c.AgentID = connection.OnPremise, "agt_1"
			asked, told := unasked, ""
			cloud := s.roads.For(&connection.Connection{Spec: connection.Spec{Mode: connection.Cloud}})
			s.gateway.roads = road.New(cloud, agentRoad{cloud, t, c.most, c.back, new(bool), &asked, &told})
			fields := []string{"Sallyport-Wait", "1"}
			if c.prefer != "" {
				fields = append(fields, "Prefer", c.prefer)
			}
			resp := s.do(t, "GET", "/x", nil, fields...)
			if resp.StatusCode != c.status || asked != c.asked || told != c.told {
				t.Errorf("%s; asked for %s, told %q", resp.Status, asked, told)
			}
			applied := strings.Join(resp.Header["Preference-Applied"], "|")
			want := strings.Trim(map[int]string{200: "return=minimal"}[c.status]+"|"+c.applied, "|")
			if applied != want {
				t.Errorf("applied %q, want %q", applied, want)
			}
			if c.status == 200 && seen != c.prefer {
				t.Errorf("the application saw Prefer %q", seen)
			}
			if c.status == 503 && (resp.Header.Get("Retry-After") != "2" || resp.Header.Get(proto.HeaderError) != string(proto.CodeAgentOffline)) {
				t.Errorf("header %v", resp.Header)
			}
			if held := c.back > 0; held != strings.Contains(resp.Header.Get("Server-Timing"), "held;dur="+strconv.Itoa(int(min(c.back, c.asked).Milliseconds()))+".") {
				t.Errorf("timing %q", resp.Header["Server-Timing"])
			}
		})
	}
}

func TestHeldTimeOfTheRoadIsTold(t *testing.T) {
	p := &passage{start: time.Now(), awaited: time.Second, timing: proto.Timing{Held: 2 * time.Second, Tunnel: time.Millisecond}}
	if got := p.serverTiming(); !strings.Contains(got, "held;dur=3000.000, tunnel;dur=1.000") {
		t.Error(got)
	}
}
