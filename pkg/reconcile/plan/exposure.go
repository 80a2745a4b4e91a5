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

// Exposures are which LUNs initiators have seen at which targets, under which numbers. A number
// belongs to what an initiator saw there until the initiator itself ends its session: until then
// it may have writes under way to that number, and continues them when it reconnects.
type Exposures map[observe.TargetID]map[string]Exposure

// Exposure is what one initiator has seen of one target.
type Exposure struct {
	// Live is true if the initiator was connected when the target was last observed. Otherwise its
	// session was ended by the agent, by a reboot, or by whoever closed the target, and it may
	// reconnect at any time.
	Live bool `json:"live,omitempty"`
	// LUNs are by the number that the initiator sees.
	LUNs map[int]Shown `json:"luns"`
	// Leaving are the initiators that were removed from the Export during this session, if the
	// kernel does not say whose session it is: it may be one of theirs.
	Leaving []string `json:"leaving,omitempty"`
}

// Shown is what was seen under a number.
type Shown struct {
	// Identity is what initiators know it by: a unit serial, or the UUID of a namespace.
	Identity string    `json:"identity"`
	Since    time.Time `json:"since"`
	// Expected is true until it was observed under that number.
	Expected bool `json:"expected,omitempty"`
}

// Anyone stands for initiators that the kernel does not name.
const Anyone = "*"

// isAnonymous reports whether a session is known by something other than the initiator's name,
// such as its address. It may be that of any admitted initiator.
func isAnonymous(initiator string) bool {
	return !slices.ContainsFunc([]string{"iqn.", "nqn.", "eui.", "naa."}, func(form string) bool { return strings.HasPrefix(initiator, form) })
}

// LearnExposures returns what is known after an observation with its index. rebooted is true if
// the node was restarted since known was learned. It is pure, and returns known itself if nothing
// is new.
func LearnExposures(known Exposures, observed observe.State, index *Index, rebooted bool, now time.Time) Exposures {
	l := exposureChange{from: known, to: known}
	looked := make(map[observe.TargetID]bool, len(known))
	for _, id := range index.targets {
		t, _ := observed.Target(id)
		if len(known[id]) == 0 && !hasSessions(t) {
			continue // as most
		}
		looked[id] = true
		l.learnTarget(id, t, observed.LIO.Backstores, rebooted, now)
	}
	for id := range known {
		// A reboot ended all sessions, also those of targets that cannot be read yet. Once they
		// can be, they may be open again, and an initiator that has not reconnected looks like
		// one that has logged out.
		if !looked[id] && (rebooted || observed.Unknown[id.Fabric.System()] == nil) {
			l.setClosed(id)
		}
	}
	return l.to
}

// exposureChange changes what is known, and copies each part before it is changed.
type exposureChange struct {
	from, to Exposures
	copied   map[observe.TargetID]bool
}

// editable returns what is known of a target, for changing it.
func (l *exposureChange) editable(id observe.TargetID) map[string]Exposure {
	if l.copied == nil {
		l.copied, l.to = map[observe.TargetID]bool{}, maps.Clone(l.from)
		if l.to == nil {
			l.to = Exposures{}
		}
	}
	if !l.copied[id] {
		l.copied[id], l.to[id] = true, maps.Clone(l.from[id])
	}
	if l.to[id] == nil { // nothing was known of it, or all is forgotten
		l.to[id] = map[string]Exposure{}
	}
	return l.to[id]
}

func (l *exposureChange) forget(id observe.TargetID, initiator string) {
	delete(l.editable(id), initiator)
	if len(l.to[id]) == 0 {
		delete(l.to, id)
	}
}

// setInterrupted notes that a session was ended, and not by the initiator.
func (l *exposureChange) setInterrupted(id observe.TargetID, initiator string) {
	before := l.to[id][initiator]
	switch {
	case !before.Live:
	case len(before.LUNs) == 0:
		l.forget(id, initiator)
	default:
		l.editable(id)[initiator] = Exposure{LUNs: before.LUNs}
	}
}

// setClosed notes that no initiator is connected to a target any more.
func (l *exposureChange) setClosed(id observe.TargetID) {
	for initiator := range l.from[id] {
		l.setInterrupted(id, initiator)
	}
}

// learnTarget learns which initiators are connected to a target, and what they see.
func (l *exposureChange) learnTarget(id observe.TargetID, t observe.Target, backstores map[string]observe.Backstore, rebooted bool, now time.Time) {
	live := connected(t)
	for _, initiator := range live {
		before := l.from[id][initiator]
		if after, news := before.withSeen(seenBy(t, initiator, backstores), now); news || !before.Live && len(after.LUNs) > 0 {
			l.editable(id)[initiator] = after
		}
	}
	for initiator, before := range l.from[id] {
		switch {
		case slices.Contains(live, initiator):
		case !rebooted && !reportsLogouts(t, initiator): // the kernel does not say
		case before.Live && !rebooted && allowsSession(t, initiator): // the initiator has logged out
			l.forget(id, initiator)
		default:
			l.setInterrupted(id, initiator)
		}
	}
}

// withSeen adds what a live session sees. What it saw before and does not see any more is kept:
// the initiator may continue to use that number.
func (e Exposure) withSeen(seen map[int]string, now time.Time) (after Exposure, news bool) {
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
// those that show more to connected initiators. index is that of the observation from which the
// plan was made. It is pure, and returns known itself if there are no such steps.
func Anticipate(known Exposures, plan Plan, index *Index, now time.Time) Exposures {
	l := exposureChange{from: known, to: known}
	for _, s := range plan.Steps {
		l.beginStep(s.Change, index, now)
	}
	return l.to
}

// WaitingForMemory returns the objects that must not be changed before [Anticipate] and
// [NoteBeginning] are stored: their steps take something from known initiators, show them
// something, or begin to overwrite complete data. index is that of the observation from which the
// plan was made. It is pure.
func WaitingForMemory(known Exposures, plan Plan, index *Index) map[spec.ID]bool {
	objects := map[spec.ID]bool{}
	for _, s := range plan.Steps {
		l := exposureChange{from: known, to: known}
		l.beginStep(s.Change, index, time.Time{})
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

// beginStep notes that a step begins.
func (l *exposureChange) beginStep(c change.Change, index *Index, now time.Time) {
	switch c := c.(type) {
	case change.DisableTarget:
		l.setClosed(c.ID())
	case change.RemoveTarget:
		l.setClosed(c.ID())
	case change.RemovePortal:
		l.setClosed(c.ID())
	case change.ResizeLUN:
		if traitsOf[c.Fabric].resizeEndsSessions {
			l.setClosed(c.ID())
		}
	case change.RemoveInitiator:
		l.removeInitiator(c)
	case change.AddLUN:
		l.addLUN(c, index.identityAdded(c), now)
	}
}

// removeInitiator notes that an initiator cannot log in any more, and what that does to its
// session.
func (l *exposureChange) removeInitiator(c change.RemoveInitiator) {
	for name := range l.to[c.ID()] {
		if len(c.KeepSessions) == 0 && (name == c.Initiator || isAnonymous(name)) {
			l.setInterrupted(c.ID(), name)
		}
	}
	for _, name := range c.KeepSessions {
		if before := l.to[c.ID()][name]; isAnonymous(name) && !slices.Contains(before.Leaving, c.Initiator) {
			l.editable(c.ID())[name] = Exposure{Live: true, LUNs: before.LUNs, Leaving: append(slices.Clone(before.Leaving), c.Initiator)}
		}
	}
}

// addLUN notes that a LUN is added to a target. Every connected initiator may see it from then on.
func (l *exposureChange) addLUN(c change.AddLUN, identity string, now time.Time) {
	for name, before := range l.to[c.ID()] {
		if before.Live && identity != "" && before.LUNs[c.LUN].Identity != identity {
			luns := maps.Clone(before.LUNs)
			luns[c.LUN] = Shown{Identity: identity, Since: now, Expected: true}
			l.editable(c.ID())[name] = Exposure{Live: true, LUNs: luns, Leaving: before.Leaving}
		}
	}
}

// identityAdded returns what initiators will know an added LUN by; empty: its logical volume does
// not exist yet.
func (x *Index) identityAdded(c change.AddLUN) string {
	if c.Backstore == "" {
		if c.Identity == "" {
			return ""
		}
		return traitsOf[c.Fabric].identify(c.Identity)
	}
	_, name, _ := strings.Cut(c.Backstore, "/")
	id, ours := ondisk.BackstoreOwner(name)
	if n, exists := slices.BinarySearch(x.paths, c.Backstore); exists && !ours { // it was adopted
		id, _ = x.backstores[n].Owner()
	}
	if lvs := x.current[id]; len(lvs) == 1 {
		return lvs[0].Serial()
	}
	return ""
}

// awaitedBy returns which initiators have seen a volume under any number and may reconnect to it:
// their sessions were ended, and not by themselves.
func (x Exposures) awaitedBy(identities ...string) (who []string) {
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

// notBack follows the name of an initiator that is not connected, and waited for.
const notBack = " (not reconnected since its session was ended)"

// isOpen reports whether initiators can log in to a target: only then has an initiator that is not
// connected logged out by itself.
func isOpen(t observe.Target) bool {
	return t.HasTPG && t.Enabled && !t.Offline && (len(t.Portals) > 0 || !traitsOf[t.Fabric].ownPortals)
}

// allowsSession reports whether a target allows an initiator to stay connected. If not, its
// session was ended by the removal of a portal or of its access list.
func allowsSession(t observe.Target, initiator string) bool {
	f := traitsOf[t.Fabric]
	_, listed := t.ACLs[initiator]
	switch {
	case f.sessionsOutliveListing && !f.ownPortals: // also of initiators that are not listed
		return t.HasTPG && !t.Offline
	case f.sessionsOutliveListing || isAnonymous(initiator):
		return isOpen(t)
	default:
		return isOpen(t) && (listed || t.Attrib.GenerateNodeACLs)
	}
}

// reportsLogouts reports whether an initiator that is not seen to be connected to a target is
// certainly not.
func reportsLogouts(t observe.Target, initiator string) bool {
	switch {
	case t.Sessions >= 0:
		return true
	case isAnonymous(initiator):
		return reportsAddresses(t)
	default:
		return traitsOf[t.Fabric].sessionsUncounted
	}
}

// reportsAddresses reports whether the kernel shows all addresses that are connected to a target,
// though not their initiators. Over RDMA it shows none.
func reportsAddresses(t observe.Target) bool {
	return traitsOf[t.Fabric].sessionsByAddress && !slices.Contains(slices.Collect(maps.Values(t.Portals)), observe.RDMA)
}

// hasSessions reports whether an initiator is connected to a target, or may be.
func hasSessions(t observe.Target) bool {
	return t.Sessions != 0 || len(t.DynamicSessions)+len(t.Unattributed) > 0 ||
		slices.ContainsFunc(slices.Collect(maps.Values(t.ACLs)), func(acl observe.ACL) bool { return acl.LoggedIn })
}

// connected returns the initiators that are connected to a target. Those without a name are known
// by their address.
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

// seenBy returns what a connected initiator of a target sees, by number.
func seenBy(t observe.Target, initiator string, backstores map[string]observe.Backstore) map[int]string {
	seen := make(map[int]string, len(t.LUNs))
	add := func(number int, l observe.TargetLUN) {
		if identity := identityOfLUN(l, backstores); identity != "" {
			seen[number] = identity
		}
	}
	if acl, listed := t.ACLs[initiator]; listed && traitsOf[t.Fabric].mapsLUNs {
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

// identityOfLUN returns what initiators know a LUN by; empty: it shows nothing.
func identityOfLUN(l observe.TargetLUN, backstores map[string]observe.Backstore) string {
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
