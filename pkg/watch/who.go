package watch

import (
	"bytes"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// asker finds out what a process is.
//
// It remembers those it was asked of, because a program that makes an export writes dozens of
// attributes, and is often gone when the last of its events is read.
type asker struct {
	proc string
	own  int

	mu    sync.Mutex
	known map[int]answer
}

// answer is what was found out.
type answer struct {
	stat    stat
	process *Process
	at      time.Time
}

const (
	// askerLimit is how many processes are remembered.
	askerLimit = 256
	// goneFor is how long a process that is gone is taken for the last one of its number.
	goneFor = 5 * time.Second
	// maxParents is how many parents are named.
	maxParents = 8
)

func newAsker(proc string) *asker {
	return &asker{proc: proc, own: os.Getpid(), known: map[int]answer{}}
}

// ask returns what is known of a process, which is its number alone if it is gone; nil: it has no
// number here. The result is shared, and never changed.
func (a *asker) ask(pid int) *Process {
	if pid <= 0 {
		return nil // of another PID namespace, or not told
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	before, asked := a.known[pid]
	now := time.Now()
	s, ok := a.stat(pid)
	if !ok {
		if asked && now.Sub(before.at) < goneFor {
			return before.process
		}
		return &Process{PID: pid, UID: -1, LoginUID: -1, Own: pid == a.own}
	}
	// A process that runs another program has another name, mostly.
	if asked && before.stat == s {
		before.at = now
		a.known[pid] = before
		return before.process
	}
	p := a.find(pid, s)
	if len(a.known) >= askerLimit {
		clear(a.known)
	}
	a.known[pid] = answer{stat: s, process: p, at: now}
	return p
}

// find reads all there is of a process.
func (a *asker) find(pid int, s stat) *Process {
	p := &Process{PID: pid, Command: s.command, UID: -1, LoginUID: -1, Own: pid == a.own}
	p.Executable, _ = os.Readlink(a.file(pid, "exe"))
	if status, err := os.ReadFile(a.file(pid, "status")); err == nil {
		if uid, ok := effectiveUID(status); ok {
			p.UID, p.User = uid, userName(uid)
		}
	}
	if login, err := os.ReadFile(a.file(pid, "loginuid")); err == nil {
		if uid, err := strconv.ParseUint(string(bytes.TrimSpace(login)), 10, 32); err == nil && uid != 1<<32-1 {
			p.LoginUID, p.LoginUser = int(uid), userName(int(uid))
		}
	}
	for range maxParents {
		pid = s.parent
		if pid <= 1 {
			break
		}
		p.Own = p.Own || pid == a.own
		var ok bool
		if s, ok = a.stat(pid); !ok {
			break
		}
		p.Parents = append(p.Parents, s.command)
	}
	return p
}

func (a *asker) file(pid int, name string) string {
	return filepath.Join(a.proc, strconv.Itoa(pid), name)
}

// stat is a part of /proc/PID/stat.
type stat struct {
	command string
	parent  int
	start   uint64
}

func (a *asker) stat(pid int) (stat, bool) {
	content, err := os.ReadFile(a.file(pid, "stat"))
	if err != nil {
		return stat{}, false
	}
	return parseStat(string(content))
}

// parseStat parses /proc/PID/stat. The name is in parentheses, and may have some itself.
func parseStat(content string) (stat, bool) {
	_, rest, _ := strings.Cut(content, "(")
	end := strings.LastIndex(rest, ")")
	if end < 0 {
		return stat{}, false
	}
	// State is the third field, the parent the fourth, the start time the 22nd.
	fields := strings.Fields(rest[end+1:])
	if len(fields) < 20 {
		return stat{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return stat{}, false
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	return stat{command: rest[:end], parent: parent, start: start}, err == nil
}

// effectiveUID finds the effective user in /proc/PID/status.
func effectiveUID(status []byte) (int, bool) {
	_, rest, _ := strings.Cut(string(status), "\nUid:")
	line, _, _ := strings.Cut(rest, "\n")
	fields := strings.Fields(line) // real, effective, saved, file system
	if len(fields) < 2 {
		return 0, false
	}
	uid, err := strconv.Atoi(fields[1])
	return uid, err == nil
}

func userName(uid int) string {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return ""
	}
	return u.Username
}
