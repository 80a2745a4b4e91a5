package plan

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Exposures are what initiators have seen of targets, under which numbers. A number belongs to
// what an initiator saw there until its session has ended by itself: until then it has
// writes on the way to that number, and continues them when it is back.
type Exposures map[observe.TargetID]map[string]Exposure

// Exposure is what one initiator has seen of one target.
type Exposure struct {
	// Live is true if the initiator was logged in when the target was last looked at. Otherwise
	// its session was ended, by the agent, by a reboot, or by whoever closed the target, and
	// may be back at any time.
	Live bool `json:"live,omitempty"`
	// LUNs are by the number that the initiator sees.
	LUNs map[int]Shown `json:"luns"`
	// Leaving are initiators that were taken out of the Export while this session was there, of which
	// nobody knows whose it is: it may be one of theirs.
	Leaving []string `json:"leaving,omitempty"`
}

// Shown is what was seen under a number.
type Shown struct {
	// Identity is what initiators tell it by: a unit serial, or the UUID of a namespace.
	Identity string    `json:"identity"`
	Since    time.Time `json:"since"`
	// Expected is true until it was seen that it is shown.
	Expected bool `json:"expected,omitempty"`
}

// Anyone stands for initiators of which nothing says who they are.
const Anyone = "*"

// nameless reports whether what an initiator is told by is not its name: any of those that are
// admitted may be meant.
func nameless(initiator string) bool {
	return !slices.ContainsFunc([]string{"iqn.", "nqn.", "eui.", "naa."}, func(form string) bool { return strings.HasPrefix(initiator, form) })
}

// LearnExposures returns what is known after an observation, of which index is the index.
// rebooted is true if the node was started anew since known. It is pure, and returns known
// itself if nothing is new.
func LearnExposures(known Exposures, observed observe.State, index *Index, rebooted bool, now time.Time) Exposures {
	l := sightings{from: known, to: known}
	looked := make(map[observe.TargetID]bool, len(known))
	for _, id := range index.targets {
		t, _ := observed.Target(id)
		if len(known[id]) == 0 && !occupied(t) {
			continue // as most
		}
		looked[id] = true
		l.target(id, t, observed.LIO.Backstores, rebooted, now)
	}
	for id := range known {
		// A reboot ended all sessions, also those of targets that cannot be seen yet: once they can
		// be, they may be open again, and who is not back looks like one who has logged out.
		if !looked[id] && (rebooted || observed.Unknown[id.Fabric.System()] == nil) {
			l.closed(id)
		}
	}
	return l.to
}

// sightings are a change of what is known. What is changed is copied before.
type sightings struct {
	from, to Exposures
	copied   map[observe.TargetID]bool
}

// of returns what is known of a target, to be changed.
func (l *sightings) of(id observe.TargetID) map[string]Exposure {
	if l.copied == nil {
		l.copied, l.to = map[observe.TargetID]bool{}, maps.Clone(l.from)
		if l.to == nil {
			l.to = Exposures{}
		}
	}
	if !l.copied[id] {
		l.copied[id], l.to[id] = true, maps.Clone(l.from[id])
		if l.to[id] == nil {
			l.to[id] = map[string]Exposure{}
		}
	}
	return l.to[id]
}

func (l *sightings) forget(id observe.TargetID, initiator string) {
	delete(l.of(id), initiator)
	if len(l.to[id]) == 0 {
		delete(l.to, id)
	}
}

// interrupted takes in that a session was ended, and not by the initiator.
func (l *sightings) interrupted(id observe.TargetID, initiator string) {
	before := l.to[id][initiator]
	switch {
	case !before.Live:
	case len(before.LUNs) == 0:
		l.forget(id, initiator)
	default:
		l.of(id)[initiator] = Exposure{LUNs: before.LUNs}
	}
}

// closed takes in that nobody is logged in to a target any more.
func (l *sightings) closed(id observe.TargetID) {
	for initiator := range l.from[id] {
		l.interrupted(id, initiator)
	}
}

// target takes in who is logged in to a target, and sees what.
func (l *sightings) target(id observe.TargetID, t observe.Target, backstores map[string]observe.Backstore, rebooted bool, now time.Time) {
	live := connected(t)
	for _, initiator := range live {
		before := l.from[id][initiator]
		if after, news := before.with(seenBy(t, initiator, backstores), now); news || !before.Live && len(after.LUNs) > 0 {
			l.of(id)[initiator] = after
		}
	}
	for initiator, before := range l.from[id] {
		switch {
		case slices.Contains(live, initiator):
		case !rebooted && !tells(t, initiator): // nobody knows
		case before.Live && !rebooted && lets(t, initiator): // it has logged out by itself
			l.forget(id, initiator)
		default:
			l.interrupted(id, initiator)
		}
	}
}

// with takes in what a live session sees. What it saw before and does not see any more stays: it
// may go on with that.
func (e Exposure) with(seen map[int]string, now time.Time) (after Exposure, news bool) {
	after = Exposure{Live: true, LUNs: e.LUNs, Leaving: e.Leaving}
	change := func() map[int]Shown {
		if !news {
			after.LUNs, news = maps.Clone(e.LUNs), true
		}
		if after.LUNs == nil {
			after.LUNs = map[int]Shown{}
		}
		return after.LUNs
	}
	for n, identity := range seen {
		if before := e.LUNs[n]; before.Identity != identity || before.Expected {
			change()[n] = Shown{Identity: identity, Since: now}
		}
	}
	for n, before := range e.LUNs {
		if _, shown := seen[n]; before.Expected && !shown {
			delete(change(), n)
		}
	}
	return after, news
}

// Anticipate returns what is known when the steps of a plan begin: those that end sessions, and
// those that show something more to who is logged in. index is that of the observation that the
// plan was made for. It is pure, and returns known itself if there are none.
func Anticipate(known Exposures, plan Plan, index *Index, now time.Time) Exposures {
	l := sightings{from: known, to: known}
	for _, s := range plan.Steps {
		l.begin(s.Change, index, now)
	}
	return l.to
}

// ToBeRemembered returns the objects that must not be changed before it is remembered: their
// steps take something from initiators that are known, or show them something, or begin to write
// over what was complete. index is that of the observation that the plan was made for. It is pure.
func ToBeRemembered(known Exposures, plan Plan, index *Index) map[spec.ID]bool {
	objects := map[spec.ID]bool{}
	for _, s := range plan.Steps {
		l := sightings{from: known, to: known}
		l.begin(s.Change, index, time.Time{})
		must := l.copied != nil
		switch c := s.Change.(type) {
		case change.Cutover:
			must = true
		case change.SetTags:
			must = slices.Contains(c.Add, ondisk.PhaseTag(ondisk.Reverting))
		}
		if must {
			objects[s.Object] = true
		}
	}
	return objects
}

// begin takes in that a step begins.
func (l *sightings) begin(c change.Change, index *Index, now time.Time) {
	switch c := c.(type) {
	case change.DisableTarget:
		l.closed(c.ID())
	case change.RemoveTarget:
		l.closed(c.ID())
	case change.RemovePortal:
		l.closed(c.ID())
	case change.ResizeLUN:
		if traitsOf[c.Fabric].resizeEndsSessions {
			l.closed(c.ID())
		}
	case change.RemoveInitiator:
		l.takenOut(c)
	case change.AddLUN:
		l.shows(c, index.identityAdded(c), now)
	}
}

// takenOut takes in that an initiator cannot log in any more, and what becomes of its session.
func (l *sightings) takenOut(c change.RemoveInitiator) {
	for name := range l.to[c.ID()] {
		if len(c.KeepSessions) == 0 && (name == c.Initiator || nameless(name)) {
			l.interrupted(c.ID(), name)
		}
	}
	for _, name := range c.KeepSessions {
		if before := l.to[c.ID()][name]; nameless(name) && !slices.Contains(before.Leaving, c.Initiator) {
			l.of(c.ID())[name] = Exposure{Live: true, LUNs: before.LUNs, Leaving: append(slices.Clone(before.Leaving), c.Initiator)}
		}
	}
}

// shows takes in that a LUN is added to a target. Whoever is logged in may see it from then on.
func (l *sightings) shows(c change.AddLUN, identity string, now time.Time) {
	for name, before := range l.to[c.ID()] {
		if before.Live && identity != "" && before.LUNs[c.LUN].Identity != identity {
			luns := maps.Clone(before.LUNs)
			luns[c.LUN] = Shown{Identity: identity, Since: now, Expected: true}
			l.of(c.ID())[name] = Exposure{Live: true, LUNs: luns, Leaving: before.Leaving}
		}
	}
}

// identityAdded returns what initiators will tell a LUN by that is added; empty: its logical
// volume is not there yet.
func (x *Index) identityAdded(c change.AddLUN) string {
	if c.Backstore == "" {
		if c.Identity == "" {
			return ""
		}
		return traitsOf[c.Fabric].identify(c.Identity)
	}
	_, name, _ := strings.Cut(c.Backstore, "/")
	id, _ := ondisk.BackstoreOwner(name)
	if lvs := x.current[id]; len(lvs) == 1 {
		return ondisk.UnitSerial(lvs[0].Identity())
	}
	return ""
}

// awaited returns who has seen a volume under whatever number, and may come back to it: their
// sessions were ended, and not by themselves.
func (x Exposures) awaited(identities ...string) (who []string) {
	for _, initiators := range x {
		for name, e := range initiators {
			if e.Live {
				continue
			}
			for _, shown := range e.LUNs {
				if slices.Contains(identities, shown.Identity) {
					who = append(who, name+notBack)
				}
			}
		}
	}
	slices.Sort(who)
	return slices.Compact(who)
}

// notBack is said after the name of an initiator that is not logged in, and waited for.
const notBack = " (not reconnected since its session was ended)"

// open reports whether initiators can log in to a target, so that one that is not is not by
// its own will.
func open(t observe.Target) bool {
	return t.HasTPG && t.Enabled && !t.Offline && (len(t.Portals) > 0 || !traitsOf[t.Fabric].ownPortals)
}

// lets reports whether a target lets an initiator stay logged in: if not, its session did not end by
// itself, but with the portals, or with its access list.
func lets(t observe.Target, initiator string) bool {
	f := traitsOf[t.Fabric]
	_, listed := t.ACLs[initiator]
	switch {
	case f.outlives && !f.ownPortals: // whoever is listed
		return t.HasTPG && !t.Offline
	case f.outlives || nameless(initiator):
		return open(t)
	default:
		return open(t) && (listed || t.Attrib.GenerateNodeACLs)
	}
}

// tells reports whether an initiator that is not seen to be logged in to a target is not.
func tells(t observe.Target, initiator string) bool {
	switch {
	case t.Sessions >= 0:
		return true
	case nameless(initiator):
		return tellsAddresses(t)
	default:
		return traitsOf[t.Fabric].uncounted
	}
}

// tellsAddresses reports whether all addresses are known from which a target is used, though not who
// it is: over RDMA nothing is seen.
func tellsAddresses(t observe.Target) bool {
	return traitsOf[t.Fabric].addresses && !slices.Contains(slices.Collect(maps.Values(t.Portals)), observe.RDMA)
}

// occupied reports whether somebody is logged in to a target, or may be.
func occupied(t observe.Target) bool {
	return t.Sessions != 0 || len(t.DynamicSessions)+len(t.Unattributed) > 0 ||
		slices.ContainsFunc(slices.Collect(maps.Values(t.ACLs)), func(acl observe.ACL) bool { return acl.LoggedIn })
}

// connected returns who is logged in to a target. Who has no name is told by the address.
func connected(t observe.Target) []string {
	names := slices.Concat(t.DynamicSessions, t.Unattributed)
	for name, acl := range t.ACLs {
		if acl.LoggedIn {
			names = append(names, name)
		}
	}
	if len(names) == 0 && t.Sessions > 0 {
		names = append(names, Anyone)
	}
	return names
}

// seenBy returns what an initiator that is logged in to a target sees, by number.
func seenBy(t observe.Target, initiator string, backstores map[string]observe.Backstore) map[int]string {
	seen := make(map[int]string, len(t.LUNs))
	add := func(number int, l observe.TargetLUN) {
		if identity := shownAs(l, backstores); identity != "" {
			seen[number] = identity
		}
	}
	if acl, listed := t.ACLs[initiator]; listed && traitsOf[t.Fabric].maps {
		for number, m := range acl.LUNs {
			add(number, t.LUNs[m.LUN])
		}
		return seen
	}
	for number, l := range t.LUNs {
		add(number, l)
	}
	return seen
}

// shownAs returns what initiators tell a LUN by; empty: it shows nothing.
func shownAs(l observe.TargetLUN, backstores map[string]observe.Backstore) string {
	if l.Backstore != "" {
		return backstores[l.Backstore].Serial
	}
	return l.Identity
}

// MarshalJSON writes them by FABRIC/TARGET.
func (x Exposures) MarshalJSON() ([]byte, error) {
	byName := make(map[string]map[string]Exposure, len(x))
	for id, seen := range x {
		byName[string(id.Fabric)+"/"+id.Name] = seen
	}
	return json.Marshal(byName)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (x *Exposures) UnmarshalJSON(data []byte) error {
	var byName map[string]map[string]Exposure
	if err := json.Unmarshal(data, &byName); err != nil {
		return err
	}
	*x = make(Exposures, len(byName))
	for key, seen := range byName {
		fabric, name, _ := strings.Cut(key, "/")
		(*x)[observe.TargetID{Fabric: observe.Fabric(fabric), Name: name}] = seen
	}
	return nil
}
