package service

import (
	"strconv"
	"strings"
)

// shown are the properties that systemctl is asked for.
const shown = "LoadState,ActiveState,SubState,UnitFileState,MainPID,NRestarts,Result,StatusText"

// readShow reads what `systemctl show --property` prints.
func readShow(service, text string) Status {
	p := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			p[key] = value
		}
	}
	s := Status{Name: service, AtBoot: strings.HasPrefix(p["UnitFileState"], "enabled"), Detail: p["StatusText"]}
	s.PID, _ = strconv.Atoi(p["MainPID"]) // 0: none
	s.Restarts, _ = strconv.Atoi(p["NRestarts"])
	switch p["ActiveState"] {
	case "active", "reloading", "refreshing":
		s.State = Running
	case "activating":
		s.State = Starting
		if strings.HasPrefix(p["SubState"], "auto-restart") {
			s.Detail = "it ended (" + p["Result"] + ") and is about to be started again"
		}
	case "deactivating":
		s.State = Stopping
	case "failed":
		s.State, s.Detail = Failed, "it ended with "+p["Result"]
	default:
		s.State = Stopped
		if p["LoadState"] != "loaded" {
			s.State = NotInstalled
		}
	}
	return s
}

// readLaunchctl reads what `launchctl print system/LABEL` prints of a job that
// is loaded.
func readLaunchctl(service, text string) Status {
	s := Status{Name: service, State: Stopped, AtBoot: true}
	for line := range strings.Lines(text) {
		// Only the job's own lines, which are indented by one tab.
		key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " = ")
		if !ok || !strings.HasPrefix(key, "\t") || strings.HasPrefix(key, "\t\t") {
			continue
		}
		switch strings.TrimSpace(key) {
		case "state":
			if value == "running" {
				s.State = Running
			}
		case "pid":
			s.PID, _ = strconv.Atoi(value)
		case "last exit code":
			if value != "0" && value != "(never exited)" {
				s.Detail = "it ended last with exit status " + value
			}
		}
	}
	if s.State == Stopped && s.Detail != "" {
		s.State = Failed
	}
	return s
}
