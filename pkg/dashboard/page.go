package dashboard

import (
	"embed"
	"html/template"
	"net/http"
	"slices"
	"time"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

//go:embed templates
var templateFiles embed.FS

// functions are what the templates call.
var functions = template.FuncMap{
	"add": func(a, b int) int { return a + b }, "age": age, "asset": assetURL, "bytes": formatBytes, "class": phaseClass, "clip": clip,
	"clock": clock, "count": count, "export": idOf(spec.KindExport), "group": digits, "groups": captioned, "iso": iso, "link": linkTo,
	"percent": formatPercent, "permille": permille, "poolID": idOf(spec.KindPool), "pressure": pressureClass, "tenths": tenths, "visible": visible,
	"when": when,
}

func idOf(kind spec.Kind) func(string) spec.ID {
	return func(name string) spec.ID { return spec.ID{Kind: kind, Name: name} }
}

// groupTable is what the template of groups needs.
type groupTable struct {
	Caption string
	List    groupList
	Now     time.Time
}

func captioned(caption string, list groupList, now time.Time) groupTable {
	return groupTable{caption, list, now}
}

// templates are the pages by their names. Each consists of layout.html, parts.html and its own file.
var templates = parseTemplates("overview", "objects", "object", "pools", "events", "missing", "waiting")

func parseTemplates(names ...string) map[string]*template.Template {
	all := map[string]*template.Template{}
	for _, name := range names {
		all[name] = template.Must(template.New(name).Funcs(functions).ParseFS(templateFiles,
			"templates/layout.html", "templates/parts.html", "templates/"+name+".html"))
	}
	return all
}

// frame is what surrounds each view.
type frame struct {
	Title, Node, Version string
	Tabs                 []tab
	Now                  time.Time
	// ReadAt is when all of the machine was last read, and Took what the last pass took in seconds.
	ReadAt time.Time
	Took   float64
	// LastEvent is the ID of the last event that the page shows.
	LastEvent int64
	// Busy is true while a job or a pass makes the page old within seconds, and Stale if the machine is
	// being read because the report is old.
	Busy, Stale bool
	Content     any
}

type tab struct {
	Name, URL string
	Current   bool
}

// staleAfter is how old a report may be without a page being renewed soon.
const staleAfter = time.Minute

func (d *dashboard) frame(name string, k known, v view) frame {
	f := frame{
		Title: v.title, Node: d.from.Node, Version: d.from.Version, Now: k.now, Content: v.content,
		ReadAt: k.report.Time, Took: k.report.LastPass.Seconds, Busy: isBusy(k.report),
	}
	if k.report.ReadAt.After(f.ReadAt) {
		f.ReadAt = k.report.ReadAt
	}
	f.Stale = !k.report.ReadAt.IsZero() && k.now.Sub(k.report.ReadAt) > staleAfter
	if len(k.events) > 0 {
		f.LastEvent = k.events[len(k.events)-1].ID
	}
	current := name
	if name == "object" {
		current = "objects"
	}
	for _, t := range []tab{{Name: "Overview", URL: "/"}, {Name: "Objects", URL: "/objects"}, {Name: "Pools", URL: "/pools"}, {Name: "Events", URL: "/events"}} {
		t.Current = t.URL == "/"+current || t.URL == "/" && current == "overview"
		f.Tabs = append(f.Tabs, t)
	}
	return f
}

// isBusy reports whether something is under way that no event reports.
func isBusy(r status.Report) bool {
	return r.Time.IsZero() || slices.ContainsFunc(r.Objects, func(o status.Object) bool { return o.Progress != nil && !o.Progress.Waiting })
}

func ok(title string, content any) view { return view{title, http.StatusOK, content} }
