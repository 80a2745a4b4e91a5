package dashboard

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// perPage is how many objects or events a page lists: 300 kB at most, with messages of the greatest length.
const perPage = 100

// filter says which objects are listed. What is empty is not asked for.
type filter struct {
	Kind   spec.Kind
	Phase  status.Phase
	Reason string
	Pool   string
	// Text are words that must all be found, in any case, in what the list shows of an object, in its
	// labels or in the names of its initiators.
	Text string
	// Sort is empty for kind and name, "worst" or "newest".
	Sort string
	Page int // from 1
}

func filterFrom(query url.Values) filter {
	f := filter{
		Kind: spec.Kind(query.Get("kind")), Phase: status.Phase(query.Get("phase")), Reason: query.Get("reason"),
		Pool: query.Get("pool"), Text: strings.TrimSpace(query.Get("q")), Sort: query.Get("sort"),
	}
	f.Page, _ = strconv.Atoi(query.Get("page")) // what is no number is the first page
	f.Page = max(f.Page, 1)
	return f
}

// URL is the address of the list.
func (f filter) URL() string {
	query := url.Values{}
	set := func(name, value string) {
		if value != "" {
			query.Set(name, value)
		}
	}
	set("kind", string(f.Kind))
	set("phase", string(f.Phase))
	set("reason", f.Reason)
	set("pool", f.Pool)
	set("q", f.Text)
	set("sort", f.Sort)
	if f.Page > 1 {
		set("page", strconv.Itoa(f.Page))
	}
	if len(query) == 0 {
		return "/objects"
	}
	return "/objects?" + query.Encode()
}

// at returns the filter with another page.
func (f filter) at(page int) filter { f.Page = page; return f }

// Without returns the address of the list without the reason.
func (f filter) Without() string { f.Reason = ""; return f.at(1).URL() }

func (f filter) matches(o *status.Object, words []string) bool {
	switch {
	case f.Kind != "" && o.Kind != f.Kind, f.Phase != "" && o.Phase != f.Phase, f.Reason != "" && o.Reason != f.Reason:
		return false
	case f.Pool != "" && poolOf(o) != f.Pool:
		return false
	}
	return !slices.ContainsFunc(words, func(word string) bool { return !mentions(o, word) })
}

// mentions reports whether a word in lower case is found in an object.
func mentions(o *status.Object, word string) bool {
	found := func(texts ...string) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return containsFold(text, word) })
	}
	if found(o.Name, string(o.Kind)+"/"+o.Name, string(o.Phase), o.Reason, o.Message, poolOf(o)) {
		return true
	}
	for key, value := range o.Labels {
		if found(key, value, key+"="+value) {
			return true
		}
	}
	if v := volumeOf(o); v != nil {
		if found(v.DevicePath, v.Serial, v.WWN, v.NamespaceUUID, v.LVUUID) || found(v.ExportedBy...) {
			return true
		}
		for _, a := range v.Attachments {
			if found(a.Initiator, a.Address) {
				return true
			}
		}
	}
	if e := o.Export; e != nil {
		if found(e.Target, string(e.Protocol)) || found(e.Portals...) || found(e.Sessions...) {
			return true
		}
		for _, c := range e.Connections {
			if found(c.Initiator, c.Address) {
				return true
			}
		}
	}
	switch {
	case o.Image != nil:
		return found(o.Image.Path)
	case o.Repository != nil:
		return found(o.Repository.URL)
	case o.Backup != nil:
		return found(o.Backup.Volume, o.Backup.Repository, o.Backup.ID)
	}
	return false
}

// containsFold reports whether a text contains a word in lower case. Most texts are short and in lower
// case already, so that nothing is allocated.
func containsFold(text, word string) bool { return strings.Contains(strings.ToLower(text), word) }

// poolOf returns the Pool of an object, empty if it has none. A Pool is its own.
func poolOf(o *status.Object) string {
	if v := volumeOf(o); v != nil {
		return v.Pool
	}
	if o.Kind == spec.KindPool {
		return o.Name
	}
	return ""
}

// volumeOf returns the logical volume of a Volume or Snapshot, nil if there is none.
func volumeOf(o *status.Object) *status.Volume {
	if o.Volume != nil {
		return o.Volume
	}
	return o.Snapshot
}

// objectList is the view of many objects.
type objectList struct {
	Filter filter
	Kinds  []spec.Kind
	Phases []status.Phase
	Pools  []string
	// Rows are one page of those that match, of which there are Total; First is the place of the first.
	Rows                []objectRow
	First, Last, Total  int
	All                 int
	Previous, Next      string
	Pages               int
	Messages, HasDetail bool
}

type objectRow struct {
	status.Object
	// Detail says in a few words how large it is, where it is, and who is connected.
	Detail string
}

func objectsPage(k known, r *http.Request) view {
	list := objectsOf(k.report.Objects, filterFrom(r.URL.Query()))
	return ok("Objects", list)
}

func objectsOf(objects []status.Object, f filter) objectList {
	list := objectList{Filter: f, Kinds: kinds, Phases: phases, All: len(objects)}
	words := strings.Fields(strings.ToLower(f.Text))
	var found []*status.Object
	for i := range objects {
		o := &objects[i]
		if o.Kind == spec.KindPool {
			list.Pools = append(list.Pools, o.Name)
		}
		if f.matches(o, words) {
			found = append(found, o)
		}
	}
	sortObjects(found, f.Sort)
	list.Total = len(found)
	list.Pages = max(1, (len(found)+perPage-1)/perPage)
	page := min(f.Page, list.Pages)
	found = found[(page-1)*perPage : min(page*perPage, len(found))]
	list.First, list.Last = (page-1)*perPage+1, (page-1)*perPage+len(found)
	list.Filter.Page = page
	if page > 1 {
		list.Previous = f.at(page - 1).URL()
	}
	if page < list.Pages {
		list.Next = f.at(page + 1).URL()
	}
	for _, o := range found {
		list.Rows = append(list.Rows, objectRow{*o, detailOf(o)})
	}
	return list
}

// sortObjects sorts objects that are sorted by kind and name.
func sortObjects(objects []*status.Object, by string) {
	switch by {
	case "worst":
		slices.SortStableFunc(objects, func(a, b *status.Object) int {
			return cmp.Or(severity(a.Phase)-severity(b.Phase), waits(a.Reason)-waits(b.Reason))
		})
	case "newest":
		slices.SortStableFunc(objects, func(a, b *status.Object) int { return b.Since.Compare(a.Since) })
	}
}

// detailOf says in a few words what people look for.
func detailOf(o *status.Object) string {
	var words []string
	say := func(text string) {
		if text != "" {
			words = append(words, text)
		}
	}
	switch v := volumeOf(o); {
	case v != nil:
		say(formatBytes(v.Size))
		if o.Kind == spec.KindSnapshot && v.Volume != "" {
			say("of " + v.Volume)
		} else if v.Pool != "" {
			say("in " + v.Pool)
		}
		if n := len(peersOfVolume(v)); n > 0 {
			say(digits(n) + " connected")
		}
	case o.Export != nil:
		say(string(o.Export.Protocol))
		say(count(o.Export.LUNs, "LUN"))
		say(digits(len(peersOfExport(o.Export))) + " connected")
	case o.Pool != nil:
		say(formatBytes(o.Pool.Size))
		if !o.Pool.UsageUnknown {
			say(formatBytes(o.Pool.Free) + " free")
		}
	case o.Image != nil:
		say(formatBytes(o.Image.Size))
		say(string(o.Image.Format))
	default:
		detailOfBackups(o, say)
	}
	return strings.Join(words, " · ")
}
