package egress

import (
	"net"
	"strings"
)

// parseScutil reads what macOS's `scutil --proxy` prints:
//
//	<dictionary> {
//	  ExceptionsList : <array> {
//	    0 : *.local
//	  }
//	  HTTPSEnable : 1
//	  HTTPSPort : 3128
//	  HTTPSProxy : proxy.plant2.internal
//	}
//
// What is set for one network interface only (__SCOPED__) is passed over.
func parseScutil(text string) settings {
	values := map[string]string{}
	s := settings{source: "macOS proxy settings"}
	var nested []string // names of the open braces, the outermost left out
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " : ")
		switch {
		case name == "}":
			nested = nested[:max(len(nested)-1, 0)]
		case name == "<dictionary> {":
		case strings.HasSuffix(value, "{"):
			nested = append(nested, name)
		case len(nested) == 0:
			values[name] = value
		case len(nested) == 1 && nested[0] == "ExceptionsList":
			s.bypass.patterns = append(s.bypass.patterns, value)
		}
	}
	s.proxies = map[string]string{}
	for prefix, scheme := range map[string]string{"HTTP": "http", "HTTPS": "https", "SOCKS": "socks"} {
		if values[prefix+"Enable"] != "1" || values[prefix+"Proxy"] == "" {
			continue
		}
		server := values[prefix+"Proxy"]
		if port := values[prefix+"Port"]; port != "" {
			server = net.JoinHostPort(server, port)
		}
		s.proxies[scheme] = server
	}
	s.bypass.plain = values["ExcludeSimpleHostnames"] == "1"
	if values["ProxyAutoConfigEnable"] == "1" {
		s.pac = values["ProxyAutoConfigURLString"]
	}
	s.detect = values["ProxyAutoDiscoveryEnable"] == "1"
	return s
}
