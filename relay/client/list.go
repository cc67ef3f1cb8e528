package client

import (
	"context"
	"iter"
	"strconv"
)

// ListOptions say which part of a list is wanted.
type ListOptions struct {
	// Query keeps only those whose name contains it. The lists of what has
	// happened have no names, and pass it over.
	Query string
	// PageSize is how many are fetched at once, 1 to 200. 0: 200.
	PageSize int
}

// listed is one page as the API answers it.
type listed[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"nextCursor,omitempty"`
}

// pages goes through a list, fetching a page when the one before is used up.
// An error comes once, and is the end. named lists can be searched by name;
// filters are further parameters and their values.
func pages[T any](ctx context.Context, c *Client, path string, o ListOptions, named bool, filters ...string) iter.Seq2[T, error] {
	size := o.PageSize
	if size == 0 {
		size = 200
	}
	query := ""
	if named {
		query = o.Query
	}
	return func(yield func(T, error) bool) {
		cursor := ""
		for {
			var page listed[T]
			err := c.Do(ctx, "GET", with(path, append([]string{"limit", strconv.Itoa(size), "cursor", cursor, "q", query}, filters...)...), nil, &page)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if cursor = page.NextCursor; cursor == "" {
				return
			}
		}
	}
}
