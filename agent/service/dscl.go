package service

import (
	"strconv"
	"strings"
)

// dsclAccount is what macOS's directory is told to make a user and a group that
// nobody can log in as, hidden from the login window.
func dsclAccount(account string, id int) [][]string {
	group, person, number := "/Groups/"+account, "/Users/"+account, strconv.Itoa(id)
	set := func(record string, pairs ...string) [][]string {
		commands := [][]string{{".", "-create", record}}
		for i := 0; i < len(pairs); i += 2 {
			commands = append(commands, []string{".", "-create", record, pairs[i], pairs[i+1]})
		}
		return commands
	}
	return append(
		set(group, "PrimaryGroupID", number, "RealName", title, "Password", "*"),
		set(person, "UniqueID", number, "PrimaryGroupID", number, "RealName", title, "UserShell", "/usr/bin/false",
			"NFSHomeDirectory", "/var/empty", "IsHidden", "1", "Password", "*")...)
}

// dsclRemoval takes them away again.
func dsclRemoval(account string) [][]string {
	return [][]string{{".", "-delete", "/Users/" + account}, {".", "-delete", "/Groups/" + account}}
}

// freeID is a number between 300 and 400 that no user or group of the lists
// has: service accounts have numbers below 500, and Apple's own end before 300.
// lists are what `dscl . -list /Users UniqueID` and its twin for groups print.
// 0: there is none.
func freeID(lists ...string) int {
	taken := map[int]bool{}
	for _, list := range lists {
		for _, word := range strings.Fields(list) {
			if n, err := strconv.Atoi(word); err == nil {
				taken[n] = true
			}
		}
	}
	for id := 300; id < 400; id++ {
		if !taken[id] {
			return id
		}
	}
	return 0
}
