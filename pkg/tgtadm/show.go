package tgtadm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Target is a target as the daemon shows it.
type Target struct {
	ID     int32
	Name   string
	Driver string
	// Ready is whether it takes logins and commands.
	Ready bool
	LUNs  []LUN
	// Incoming are the accounts of initiators, in the daemon's order, which
	// matters to [Client.UnbindAccounts]. If there is none, no password is
	// asked for.
	Incoming []string
	// Outgoing is the account of the target itself; empty: none.
	Outgoing string
	// Access is who may log in: addresses first, then names. The daemon does not
	// say where one list ends and the other begins.
	Access []string
	// Sessions are the initiators that are logged in, as far as they can be
	// read; see Unclear.
	Sessions []Session
	// Unclear is that an initiator logged in with a name or an alias that looks
	// like a part of the daemon's own text. There is a session at least;
	// what Sessions says is to be taken with care.
	Unclear bool
}

// LUN is a logical unit.
type LUN struct {
	Number uint64
	// Type is "disk", or "controller" for number 0.
	Type string
	// ID and Serial are what initiators see, up to 36 bytes.
	ID, Serial string
	// Megabytes is the size, rounded as [Megabytes] does; 0 also if the backing
	// store could not be opened.
	Megabytes uint64
	BlockSize uint32
	Online    bool
	Removable bool
	// PreventRemoval is that an initiator forbade the removal of the medium.
	PreventRemoval bool
	ReadOnly       bool
	// WriteProtected is that an initiator set the SWP bit.
	WriteProtected   bool
	ThinProvisioning bool
	// Store is the type of the backing store, Path its path (empty: none) and
	// Flags how it is opened.
	Store, Path, Flags string
}

// Session is an I_T nexus: one initiator, logged in to one target.
type Session struct {
	ID uint64
	// Initiator and Alias are what the initiator calls itself.
	Initiator, Alias string
	Connection       uint32
	// Address is where the connection came from, without the port.
	Address string
}

// Megabytes returns the size that the daemon shows for a size in bytes. Two
// sizes that are 2 MB or more apart are shown as different ones.
func Megabytes(size uint64) uint64 {
	sectors := size / 512
	// The daemon's own formula. For small sizes the inner difference is
	// negative, and the sum right all the same.
	return (sectors - (sectors/625 - 974)) / 1950
}

// ErrForged is a list of targets that says something else than the list of
// their names: an initiator logged in under a name or an alias that contains
// the daemon's own words, or targets were made and deleted meanwhile.
var ErrForged = errors.New("the list of targets does not match the list of their names; " +
	"an initiator's name or alias may contain line breaks")

// attempts is how often a list of targets is read that may have changed between
// two requests.
const attempts = 3

// Targets returns all targets, ordered by ID.
//
// It takes two requests, because what the daemon shows of targets contains
// text that initiators sent, unchecked. The names of the targets come from a list
// without such text; a list of targets that cannot be read in just one way with
// its help is refused ([ErrForged]).
func (c *Client) Targets(ctx context.Context) ([]Target, error) {
	const what = "show targets"
	for attempt := 1; ; attempt++ {
		drivers, err := c.do(ctx, "show drivers", request{mode: modeDriver, op: opShow, tid: everyTarget})
		if err != nil {
			return nil, err
		}
		text, err := c.do(ctx, what, request{mode: modeTarget, op: opShow, tid: everyTarget})
		if err != nil {
			return nil, err
		}
		headings, err := parseHeadings(drivers)
		if err != nil {
			return nil, &RequestError{Request: "show drivers", Err: err}
		}
		targets, err := parseTargets(text, headings)
		switch {
		case err == nil:
			return targets, nil
		case attempt == attempts:
			return nil, &RequestError{Request: what, Err: err}
		}
	}
}

// The daemon's indentation and headings.
const (
	tab1 = "    "
	tab2 = tab1 + tab1
	tab3 = tab2 + tab1

	systemHeading  = tab1 + "System information:"
	sessionHeading = tab1 + "I_T nexus information:"
	lunHeading     = tab1 + "LUN information:"
	accountHeading = "Account information:"
	accessHeading  = tab1 + "ACL information:"
	outgoingMark   = " (outgoing)"
)

// heading is the first line of a target.
type heading struct {
	id     int32
	name   string
	driver string
}

func (h heading) String() string { return fmt.Sprintf("Target %d: %s", h.id, h.name) }

// parseHeadings reads the list of drivers and of their targets, and returns the
// targets ordered by ID.
func parseHeadings(text string) ([]heading, error) {
	var headings []heading
	driver := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, tab2); ok {
			h, err := parseHeading(rest)
			if err != nil {
				return nil, err
			}
			h.driver = driver
			headings = append(headings, h)
		} else if rest, ok := strings.CutPrefix(line, tab1); ok {
			driver, _, _ = strings.Cut(rest, ":")
		} else if line != "LLDs:" {
			return nil, fmt.Errorf("cannot parse the list of drivers: line %q", line)
		}
	}
	slices.SortFunc(headings, func(a, b heading) int { return cmp.Compare(a.id, b.id) })
	return headings, nil
}

func parseHeading(line string) (heading, error) {
	rest, ok := strings.CutPrefix(line, "Target ")
	number, name, ok2 := strings.Cut(rest, ": ")
	id, err := strconv.ParseInt(number, 10, 32)
	if !ok || !ok2 || err != nil {
		return heading{}, fmt.Errorf("cannot parse target %q", line)
	}
	return heading{id: int32(id), name: name}, nil
}

// parseTargets reads the list of targets.
//
// Of a target's sections only that of the sessions contains text of others.
// So each target begins at its heading, which must be there once and in
// order; what else looks like a target is some initiator's text. And the last of
// the lines that could begin the logical units is the one that does.
func parseTargets(text string, headings []heading) ([]Target, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if text == "" {
		lines = nil
	}
	at := make(map[string][]int, len(headings))
	for i, line := range lines {
		if strings.HasPrefix(line, "Target ") {
			at[line] = append(at[line], i)
		}
	}
	begins := make([]int, 0, len(headings)+1)
	for _, h := range headings {
		places := at[h.String()]
		if len(places) != 1 {
			return nil, fmt.Errorf("%w: %q occurs %d times", ErrForged, h, len(places))
		}
		if n := len(begins); n > 0 && places[0] <= begins[n-1] {
			return nil, fmt.Errorf("%w: %q is out of order", ErrForged, h)
		}
		begins = append(begins, places[0])
	}
	if len(lines) > 0 && (len(begins) == 0 || begins[0] != 0) {
		return nil, fmt.Errorf("%w: it begins with %q", ErrForged, lines[0])
	}
	begins = append(begins, len(lines))
	targets := make([]Target, 0, len(headings))
	for i, h := range headings {
		t, err := parseTarget(h, lines[begins[i]+1:begins[i+1]])
		if err != nil {
			return nil, fmt.Errorf("target %d, %s: %w", h.id, h.name, err)
		}
		targets = append(targets, t)
	}
	return targets, nil
}

func parseTarget(h heading, lines []string) (Target, error) {
	t := Target{ID: h.id, Name: h.name, Driver: h.driver}
	sessions := slices.Index(lines, sessionHeading)
	if len(lines) == 0 || lines[0] != systemHeading || sessions < 0 {
		return t, errors.New("system and session information is missing")
	}
	for _, line := range lines[1:sessions] {
		if line == tab2+"State: ready" {
			t.Ready = true
		}
	}
	// An initiator's text that is cut off may have swallowed the line break.
	luns := lastIndex(lines, func(line string) bool { return strings.HasSuffix(line, lunHeading) })
	if luns <= sessions {
		return t, errors.New("logical unit information is missing")
	}
	t.Sessions, t.Unclear = parseSessions(lines[sessions+1 : luns])
	t.Unclear = t.Unclear || lines[luns] != lunHeading

	rest := lines[luns+1:]
	access := slices.Index(rest, accessHeading)
	if access < 0 {
		return t, errors.New("access list information is missing")
	}
	var err error
	if t.Access, err = indented(rest[access+1:], tab2); err != nil {
		return t, err
	}
	rest = rest[:access]
	if accounts := slices.Index(rest, tab1+accountHeading); accounts >= 0 {
		names, err := indented(rest[accounts+1:], tab2)
		if err != nil {
			return t, err
		}
		t.Incoming, t.Outgoing = splitOutgoing(names)
		rest = rest[:accounts]
	}
	t.LUNs, err = parseLUNs(rest)
	return t, err
}

// splitOutgoing tells the outgoing account, which comes last, from the others.
func splitOutgoing(names []string) (incoming []string, outgoing string) {
	if n := len(names); n > 0 {
		if name, ok := strings.CutSuffix(names[n-1], outgoingMark); ok {
			return names[:n-1], name
		}
	}
	return names, ""
}

// parseSessions reads the sessions of a target. unclear is that there is more
// or less than the daemon itself would print.
func parseSessions(lines []string) (sessions []Session, unclear bool) {
	for len(lines) > 0 {
		s, ok := parseSession(lines)
		if !ok {
			return sessions, true
		}
		sessions = append(sessions, s)
		lines = lines[sessionLines:]
	}
	return sessions, false
}

const sessionLines = 4

func parseSession(lines []string) (Session, bool) {
	if len(lines) < sessionLines {
		return Session{}, false
	}
	id, ok1 := strings.CutPrefix(lines[0], tab2+"I_T nexus: ")
	who, ok2 := strings.CutPrefix(lines[1], tab3+"Initiator: ")
	connection, ok3 := strings.CutPrefix(lines[2], tab3+"Connection: ")
	from, ok4 := strings.CutPrefix(lines[3], tab3+tab1)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return Session{}, false
	}
	sid, err1 := strconv.ParseUint(id, 10, 64)
	cid, err2 := strconv.ParseUint(connection, 10, 32)
	if err1 != nil || err2 != nil {
		return Session{}, false
	}
	// Neither may contain the word between them, or it is anybody's guess.
	name, alias, ok := strings.Cut(who, " alias: ")
	if !ok || strings.Contains(alias, " alias: ") {
		return Session{}, false
	}
	_, address, _ := strings.Cut(from, ": ")
	return Session{ID: sid, Initiator: name, Alias: alias, Connection: uint32(cid), Address: address}, true
}

func parseLUNs(lines []string) ([]LUN, error) {
	var luns []LUN
	for _, line := range lines {
		entry := strings.TrimLeft(line, " ")
		key, value, ok := strings.Cut(entry, ": ")
		indent := len(line) - len(entry)
		switch {
		case indent == len(tab2) && key == "LUN" && ok:
			number, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("cannot parse logical unit %q", line)
			}
			luns = append(luns, LUN{Number: number})
		case indent == len(tab3) && ok && len(luns) > 0:
			if err := luns[len(luns)-1].set(key, value); err != nil {
				return nil, fmt.Errorf("logical unit %d: %w", luns[len(luns)-1].Number, err)
			}
		default:
			return nil, fmt.Errorf("cannot parse logical unit: line %q", line)
		}
	}
	return luns, nil
}

// set sets a property. Those that are not known here are left out: other
// versions may have more.
func (l *LUN) set(key, value string) error {
	switch key {
	case "Type":
		l.Type = value
	case "SCSI ID":
		l.ID = value
	case "SCSI SN":
		l.Serial = value
	case "Size":
		if _, err := fmt.Sscanf(value, "%d MB, Block size: %d", &l.Megabytes, &l.BlockSize); err != nil {
			return fmt.Errorf("cannot parse size %q: %w", value, err)
		}
	case "Backing store type":
		l.Store = value
	case "Backing store path":
		if value != "None" {
			l.Path = value
		}
	case "Backing store flags":
		l.Flags = value
	default:
		return l.setFlag(key, value)
	}
	return nil
}

func (l *LUN) setFlag(key, value string) error {
	flags := map[string]*bool{
		"Online": &l.Online, "Removable media": &l.Removable, "Prevent removal": &l.PreventRemoval,
		"Readonly": &l.ReadOnly, "SWP": &l.WriteProtected, "Thin-provisioning": &l.ThinProvisioning,
	}
	flag, ok := flags[key]
	switch {
	case !ok:
		return nil
	case value != "Yes" && value != "No":
		return fmt.Errorf("%s is %q; expected Yes or No", key, value)
	}
	*flag = value == "Yes"
	return nil
}

// indented returns lines without their indentation, which all must have.
func indented(lines []string, indent string) ([]string, error) {
	var entries []string
	for _, line := range lines {
		entry, ok := strings.CutPrefix(line, indent)
		if !ok {
			return nil, fmt.Errorf("cannot parse list: line %q", line)
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

func lastIndex[S ~[]E, E any](s S, f func(E) bool) int {
	for i := len(s) - 1; i >= 0; i-- {
		if f(s[i]) {
			return i
		}
	}
	return -1
}
