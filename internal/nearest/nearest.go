// Package nearest finds what a misspelt word was meant to be. What reads files
// that people write uses it.
package nearest

import "strings"

// Of is the known word that takes the fewest changes to reach; "" where none is
// known.
func Of(key string, known ...string) string {
	best, least := "", 1<<30
	for _, k := range known {
		if d := Distance(strings.ToLower(key), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// Distance is how many insertions, deletions, replacements and swaps of
// neighbours lead from a to b (Damerau and Levenshtein's, each place once).
func Distance(a, b string) int {
	const longest = 100 // no key is; it bounds what a strange file costs
	a, b = a[:min(len(a), longest)], b[:min(len(b), longest)]
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			replace := last[j]
			if a[i] != b[j] {
				replace++
			}
			row[j+1] = min(replace, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
