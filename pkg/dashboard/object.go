package dashboard

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	// maxLinks is how many related objects a page of one object names, of each kind.
	maxLinks = 50
	// maxPeers is how many connected initiators it names, and of how many Volumes the backups.
	maxPeers = 200
	// maxHistory is how many events it shows.
	maxHistory = 50
)

// oneObject is the view of one object.
type oneObject struct {
	status.Object
	ID spec.ID
	// Gone is true if there is no such object any more; only its history is shown.
	Gone bool
	// Facts are the fields that it has, and Links the objects that belong to it.
	Facts []fact
	Links []links
	Pool  *pool

	Steps     []stepRow
	MoreSteps int
	Warnings  []string

	// Connects is true if initiators can be connected to an object of this kind.
	Connects  bool
	Peers     []peer
	MorePeers int

	Backups     []volumeBackups
	MoreBackups int

	History     []eventRow
	MoreHistory int
}

// fact is a field of an object. Time is set instead of Value if it is a time.
type fact struct {
	Name, Value string
	Time        time.Time
	// Code is true for what is copied into commands.
	Code bool
}

// links are related objects; All is the address of a list of them, if not all are named.
type links struct {
	Name string
	IDs  []spec.ID
	More int
	All  string
}

// peer is a connected initiator. Either name or address may be unknown.
type peer struct{ Export, Initiator, Address, Transport string }

func objectPage(k known, r *http.Request) view {
	id := spec.ID{Kind: spec.Kind(r.PathValue("kind")), Name: r.PathValue("name")}
	o := objectOf(k, id)
	v := ok(id.String(), o)
	if o.Gone {
		v.code = http.StatusNotFound
	}
	return v
}

func objectOf(k known, id spec.ID) oneObject {
	object, found := k.report.Object(id)
	o := oneObject{Object: object, ID: id, Gone: !found}
	history := slices.DeleteFunc(slices.Clone(k.events), func(e status.Event) bool { return e.Object() != id })
	o.History, o.MoreHistory = eventRows(newest(history, maxHistory)), max(0, len(history)-maxHistory)
	if o.Gone {
		return o
	}
	steps := slices.DeleteFunc(slices.Clone(k.plan.Steps), func(s plan.Step) bool { return s.Object != id })
	shown, more := first(steps, maxSteps)
	o.Steps, o.MoreSteps = stepRows(shown), more
	for _, w := range k.plan.Warnings {
		if w.Object == id {
			o.Warnings = append(o.Warnings, w.Message)
		}
	}
	o.Connects = id.Kind == spec.KindVolume || id.Kind == spec.KindSnapshot || id.Kind == spec.KindExport
	switch v := volumeOf(&object); {
	case v != nil:
		o.Facts, o.Links = factsOfVolume(v), linksOfVolume(k.report, id, v)
		o.Peers, o.MorePeers = first(peersOfVolume(v), maxPeers)
		if id.Kind == spec.KindVolume {
			o.Backups, o.MoreBackups = first(backupsOfVolume(k.report, id.Name), maxPeers)
		}
	case object.Export != nil:
		o.Facts, o.Links = factsOfExport(object.Export), linksOfExport(k.report, id)
		o.Peers, o.MorePeers = first(peersOfExport(object.Export), maxPeers)
	case object.Pool != nil:
		pools := poolsOf(k.report.Objects)
		if at := slices.IndexFunc(pools, func(p pool) bool { return p.Name == id.Name }); at >= 0 {
			o.Pool = &pools[at]
		}
		o.Facts, o.Links = factsOfPool(object.Pool), linksOfPool(k.report, id)
	case object.Image != nil:
		o.Facts = factsOfImage(object.Image)
	case object.Schedule != nil:
		o.Facts = factsOfSchedule(object.Schedule)
		o.Backups, o.MoreBackups = first(backupsOfSchedule(object.Schedule), maxPeers)
	case object.Repository != nil:
		o.Facts, o.Links = factsOfRepository(object.Repository), linksOfRepository(k.report, id.Name)
	case object.Backup != nil:
		o.Facts, o.Links = factsOfBackup(object.Backup), linksOfBackup(object.Backup)
	}
	return o
}

// facts collects the fields that are known.
type facts []fact

func (f *facts) text(name, value string) {
	if value != "" {
		*f = append(*f, fact{Name: name, Value: value})
	}
}

func (f *facts) code(name, value string) {
	if value != "" {
		*f = append(*f, fact{Name: name, Value: value, Code: true})
	}
}

func (f *facts) time(name string, t time.Time) {
	if !t.IsZero() {
		*f = append(*f, fact{Name: name, Time: t})
	}
}

func exactBytes(n uint64) string { return formatBytes(n) + " (" + digits(int(n)) + " bytes)" }

func factsOfVolume(v *status.Volume) []fact {
	var f facts
	f.time("In the trash since", v.DeletedAt)
	f.time("Removed after", v.RemovedAfter)
	f.text("Size", exactBytes(v.Size))
	if v.Allocated > 0 {
		f.text("Allocated", formatBytes(v.Allocated))
	}
	if v.DataPercent > 0 {
		f.text("Data used", formatPercent(v.DataPercent))
	}
	f.code("Device", v.DevicePath)
	f.text("Active", map[bool]string{true: "yes", false: "no"}[v.Active])
	f.time("Created", v.CreatedAt)
	f.time("Taken", v.TakenAt)
	f.code("LV UUID", v.LVUUID)
	f.code("Unit serial", v.Serial)
	f.code("WWN", v.WWN)
	f.code("Namespace UUID", v.NamespaceUUID)
	f.code("Held by", strings.Join(v.HeldBy, ", "))
	return f
}

func factsOfExport(e *status.Export) []fact {
	var f facts
	f.text("Protocol", string(e.Protocol))
	f.code("Target", e.Target)
	f.code("Portals", strings.Join(e.Portals, ", "))
	f.text("LUNs", digits(e.LUNs))
	return f
}

func factsOfPool(p *status.Pool) []fact {
	var f facts
	f.code("Volume group", p.VolumeGroup)
	f.code("Thin pool", p.ThinPool)
	f.text("Size", exactBytes(p.Size))
	if !p.UsageUnknown {
		f.text("Free", exactBytes(p.Free))
	}
	return f
}

func factsOfImage(i *status.Image) []fact {
	var f facts
	f.code("File", i.Path)
	f.text("Format", string(i.Format))
	f.text("Size", exactBytes(i.Size))
	f.code("SHA-256", i.SHA256)
	return f
}

func linksOfVolume(r status.Report, id spec.ID, v *status.Volume) (all []links) {
	all = appendLinks(all, "Pool", named(spec.KindPool, v.Pool), "")
	all = appendLinks(all, "Volume", named(spec.KindVolume, v.Volume), "")
	var exports []spec.ID
	for _, name := range v.ExportedBy {
		exports = append(exports, spec.ID{Kind: spec.KindExport, Name: name})
	}
	all = appendLinks(all, "Exported by", exports, "")
	snapshots := idsOf(r, func(o *status.Object) bool {
		return id.Kind == spec.KindVolume && o.Snapshot != nil && o.Snapshot.Volume == id.Name
	})
	return appendLinks(all, "Snapshots", snapshots, "")
}

func linksOfExport(r status.Report, id spec.ID) []links {
	exported := idsOf(r, func(o *status.Object) bool {
		v := volumeOf(o)
		return v != nil && slices.Contains(v.ExportedBy, id.Name)
	})
	return appendLinks(nil, "Exported", exported, "")
}

func linksOfPool(r status.Report, id spec.ID) (all []links) {
	for _, kind := range []spec.Kind{spec.KindVolume, spec.KindSnapshot} {
		inside := idsOf(r, func(o *status.Object) bool { return o.Kind == kind && poolOf(o) == id.Name })
		all = appendLinks(all, string(kind)+"s", inside, filter{Kind: kind, Pool: id.Name}.URL())
	}
	return all
}

func named(kind spec.Kind, name string) []spec.ID {
	if name == "" {
		return nil
	}
	return []spec.ID{{Kind: kind, Name: name}}
}

func idsOf(r status.Report, is func(*status.Object) bool) (ids []spec.ID) {
	for i := range r.Objects {
		if is(&r.Objects[i]) {
			ids = append(ids, r.Objects[i].ID())
		}
	}
	return ids
}

func appendLinks(all []links, name string, ids []spec.ID, list string) []links {
	if len(ids) == 0 {
		return all
	}
	shown, more := first(ids, maxLinks)
	return append(all, links{Name: name, IDs: shown, More: more, All: list})
}

// peersOfVolume returns who is connected and sees a volume. An initiator with several sessions to one
// export is one.
func peersOfVolume(v *status.Volume) (peers []peer) {
	for _, a := range v.Attachments {
		if p := (peer{Export: a.Export, Initiator: a.Initiator, Address: a.Address}); !slices.Contains(peers, p) {
			peers = append(peers, p)
		}
	}
	return peers
}

// peersOfExport returns the sessions of an export, and the initiators of which the kernel reports no
// session one by one.
func peersOfExport(e *status.Export) (peers []peer) {
	known := map[string]bool{}
	for _, c := range e.Connections {
		peers = append(peers, peer{Initiator: c.Initiator, Address: c.Address, Transport: string(c.Transport)})
		known[c.Initiator], known[c.Address] = true, true
	}
	for _, name := range e.Sessions {
		if !known[name] {
			peers = append(peers, peer{Initiator: name})
		}
	}
	return peers
}
