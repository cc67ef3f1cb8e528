package account

import (
	"fmt"
	"strings"
	"time"
)

// Lasting says how long a link is good for, as people are told: 3 days, 1 hour,
// 1 hour 30 minutes. What is less than a second is left out.
func Lasting(d time.Duration) string {
	const day = 24 * time.Hour
	units := []struct {
		length time.Duration
		name   string
	}{{time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}}
	if d >= day && d%day == 0 {
		units[0].length, units[0].name = day, "day"
	}
	var parts []string
	for _, u := range units {
		n := d / u.length
		if d -= n * u.length; n == 1 {
			parts = append(parts, "1 "+u.name)
		} else if n > 1 {
			parts = append(parts, fmt.Sprintf("%d %ss", n, u.name))
		}
	}
	if len(parts) == 0 {
		return "less than a second"
	}
	return strings.Join(parts, " ")
}
