package status

import (
	"fmt"
	"strings"
	"time"
)

// Drift is the last correction of what somebody else had changed.
type Drift struct {
	Time time.Time `json:"time"`
	// Change is the correction.
	Change string `json:"change"`
	// By is who had changed it; nil: the kernel did not say.
	By *Actor `json:"by,omitempty"`
	// Corrected is the number of corrections of the object since the agent was started.
	Corrected int `json:"corrected"`
}

// Actor is a process that changed something.
type Actor struct {
	PID        int    `json:"pid"`
	Command    string `json:"command,omitempty"`
	Executable string `json:"executable,omitempty"`
	// UID is its effective user; -1: it was gone before it could be asked. LoginUID is the user who had
	// logged in and started it, through sudo(8) and su(1); -1: nobody had.
	UID       int    `json:"uid"`
	User      string `json:"user,omitempty"`
	LoginUID  int    `json:"loginUID"`
	LoginUser string `json:"loginUser,omitempty"`
	// Parents are the names of its parents, the nearest first.
	Parents []string `json:"parents,omitempty"`
}

// String is as in "targetcli (/usr/bin/python3.13, pid 4711, uid 0 root, login uid 1000 alice, from
// bash, sshd)".
func (a Actor) String() string {
	var details []string
	add := func(format string, args ...any) {
		details = append(details, strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
	name := a.Command
	if a.Executable != "" {
		add("%s", a.Executable)
	}
	if name == "" {
		name = "a process"
	}
	if a.PID > 0 {
		add("pid %d", a.PID)
	}
	if a.UID >= 0 {
		add("uid %d %s", a.UID, a.User)
	}
	if a.LoginUID >= 0 {
		add("login uid %d %s", a.LoginUID, a.LoginUser)
	}
	if len(a.Parents) > 0 {
		add("from %s", strings.Join(a.Parents, ", "))
	}
	if len(details) == 0 {
		return name
	}
	return name + " (" + strings.Join(details, ", ") + ")"
}
