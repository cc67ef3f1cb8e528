package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
)

// TestWritersTogetherEachGetTheirOwnAnswer: many write at once, and what some
// of them do fails; that undoes their own writes and nobody else's.
func TestWritersTogetherEachGetTheirOwnAnswer(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		refused := errors.New("refused")
		const writers = 300
		errs := make([]error, writers)
		var writing sync.WaitGroup
		for i := range writers {
			writing.Go(func() {
				errs[i] = w.Together(t.Context(), func(ctx context.Context, w *Workspace) error {
					a := Agent{ID: fmt.Sprintf("agt_%03d", i), Name: fmt.Sprintf("Site %03d", i), Version: 1, CreatedAt: noon, UpdatedAt: noon}
					if err := w.CreateAgent(ctx, a); err != nil {
						return err
					}
					if i%50 == 7 {
						return refused
					}
					return nil
				})
			})
		}
		writing.Wait()
		for i, err := range errs {
			_, missing := w.Agent(t.Context(), fmt.Sprintf("agt_%03d", i))
			if i%50 == 7 {
				if !errors.Is(err, refused) || !errors.Is(missing, ErrNotFound) {
					t.Errorf("%d: %v, then %v", i, err, missing)
				}
			} else if err != nil || missing != nil {
				t.Errorf("%d: %v, then %v", i, err, missing)
			}
		}
	})
}
