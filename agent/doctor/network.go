package doctor

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// networkText is the machine's interfaces and routes, as its own tools show
// them where they are not files.
func networkText(ctx context.Context) string {
	var b strings.Builder
	b.WriteString("Interfaces\n")
	interfaces, err := net.Interfaces()
	if err != nil {
		fmt.Fprintf(&b, "  not there: %v\n", err)
	}
	for _, i := range interfaces {
		fmt.Fprintf(&b, "  %-12s mtu %-6d %s\n", i.Name, i.MTU, i.Flags)
		addresses, _ := i.Addrs() // an interface that has just gone has none
		for _, a := range addresses {
			fmt.Fprintf(&b, "    %s\n", a)
		}
	}
	b.WriteString("\nRoutes\n")
	b.WriteString(routes(ctx))
	return b.String()
}

// routes are what the system's own tool prints; on Linux without it, the
// kernel's tables.
func routes(ctx context.Context) string {
	switch runtime.GOOS {
	case "linux":
		if path, err := exec.LookPath("ip"); err == nil {
			return output(ctx, path, "-4", "route") + output(ctx, path, "-6", "route")
		}
		var b strings.Builder
		for _, path := range []string{"/proc/net/route", "/proc/net/ipv6_route"} {
			text, err := os.ReadFile(path)
			fmt.Fprintf(&b, "%s:\n%s", path, orError(string(text), err))
		}
		return b.String()
	case "windows":
		return output(ctx, "route", "print")
	}
	return output(ctx, "netstat", "-rn")
}

func output(ctx context.Context, program string, args ...string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	text, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	return orError(string(text), err)
}
