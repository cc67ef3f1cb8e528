package wsconn_test

import (
	"testing"
	"time"

	"sallyport/internal/wsconn"
)

// TestSignsOfLifeKeepAConnection: an end that is never pinged, and has nothing
// to say, is alive by its own signs. They are not taken for answers to a ping.
func TestSignsOfLifeKeepAConnection(t *testing.T) {
	t.Parallel()
	const idle = time.Second
	c, s, _ := pair(t)
	client, server := wsconn.New(c, wsconn.Options{}), wsconn.New(s, wsconn.Options{IdleTimeout: idle, OnPong: func(rtt time.Duration) {
		t.Errorf("an answer after %s to a ping that was not sent", rtt)
	}})
	defer client.Close()
	defer server.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := server.Read(make([]byte, 1))
		ended <- err
	}()
	beat := time.NewTicker(idle / 20)
	defer beat.Stop()
	for began := time.Now(); time.Since(began) < 2*idle; {
		select {
		case err := <-ended:
			t.Fatalf("ended with signs of life: %v", err)
		case <-beat.C:
			client.SignOfLife()
		}
	}
	if silent := server.Silent(); silent > idle {
		t.Errorf("silent for %s", silent)
	}
	select { // without them it is dead
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("not noticed")
	}
}

// TestSignOfLifeIsLeftOutWhereSomethingWasSent: an idle tunnel, whose pings are
// answered, has no more to send than the answers.
func TestSignOfLifeIsLeftOutWhereSomethingWasSent(t *testing.T) {
	t.Parallel()
	c, s, _ := pair(t)
	client := wsconn.New(c, wsconn.Options{})
	defer client.Close()
	defer s.Close()
	signs := 0
	s.SetPongHandler(func(string) error { signs++; return nil })
	for i, speak := range []bool{true, false, true, false, false} {
		before := signs
		if speak {
			if _, err := client.Write([]byte("something")); err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.NextReader(); err != nil {
				t.Fatal(err)
			}
		}
		client.SignOfLife()
		// What comes next shows whether a sign came before it.
		if _, err := client.Write([]byte("next")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.NextReader(); err != nil {
			t.Fatal(err)
		}
		if sent := signs > before; sent == speak {
			t.Errorf("%d: something was sent: %v, a sign was sent: %v", i, speak, sent)
		}
		client.SignOfLife() // forget what was sent to look
	}
}
