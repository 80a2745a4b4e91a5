package plan_test

import (
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// called is what targets, initiators and portals of a protocol are called.
type called struct {
	targets, initiators, portals []string
}

var (
	iscsiNames = called{
		targets:    []string{spec.DefaultTargetPrefix + ":e", spec.DefaultTargetPrefix + ":f", "iqn.2026-11.org.example:x"},
		initiators: []string{"iqn.1993-08.org.debian:01:i", "iqn.1993-08.org.debian:01:j", "iqn.1993-08.org.debian:01:k"},
		portals:    []string{"0.0.0.0:3260", "10.0.0.1:3261", "[::1]:3262"},
	}
	nvmeNames = called{
		targets:    []string{"nqn." + strings.TrimPrefix(spec.DefaultTargetPrefix, "iqn.") + ":e", "nqn." + strings.TrimPrefix(spec.DefaultTargetPrefix, "iqn.") + ":f", "nqn.2026-11.org.example:x"},
		initiators: []string{"nqn.2014-08.org.nvmexpress:uuid:0b1e1f00-0000-4000-8000-000000000001", "nqn.2026-11.org.example:j", "nqn.2026-11.org.example:k"},
		portals:    []string{"0.0.0.0:4420", "10.0.0.1:4421", "[::1]:4422"},
	}
	fcNames = called{
		targets:    []string{"naa.2000001b32a1b2c3", "naa.2000001b32a1b2c4", "naa.2000001b32a1b2c5"},
		initiators: []string{"naa.2100001b32a1b2c1", "naa.2100001b32a1b2c2", "naa.2100001b32a1b2c3"},
	}
	namesOf = map[observe.Fabric]called{observe.ISCSI: iscsiNames, observe.TGTISCSI: iscsiNames, observe.NVMe: nvmeNames, observe.FC: fcNames}
)

func namesOver(p spec.Protocol) called {
	switch {
	case p == spec.ProtocolFC:
		return fcNames
	case p.IsNVMe():
		return nvmeNames
	default:
		return iscsiNames
	}
}

// servedAs names the target that an Export is served as.
func servedAs(in Input, e spec.Export) observe.TargetID {
	id := observe.TargetID{Fabric: observe.ISCSI, Name: e.Spec.Target}
	switch {
	case e.Spec.Protocol == spec.ProtocolFC:
		id.Fabric = observe.FC
	case e.Spec.Protocol.IsNVMe():
		id.Fabric = observe.NVMe
	case e.Spec.Protocol == spec.ProtocolISCSI && in.TGT:
		id.Fabric = observe.TGTISCSI
	}
	return id
}

// hasMaps reports whether a fabric keeps a list of LUNs for each initiator. Without, all see all.
func hasMaps(f observe.Fabric) bool { return f == observe.ISCSI || f == observe.FC }

// targetsOf returns all targets, in an order that stays.
func targetsOf(state observe.State) []observe.Target {
	var all []observe.Target
	for _, id := range state.TargetIDs() {
		t, _ := state.Target(id)
		all = append(all, t)
	}
	return all
}

func idOf(t observe.Target) observe.TargetID {
	return observe.TargetID{Fabric: t.Fabric, Name: t.Name}
}

// sessionsThatSee returns who is logged in to a target and sees a LUN, or may.
func sessionsThatSee(t observe.Target, lun int) []string {
	names := slices.Concat(t.DynamicSessions, t.Unattributed)
	for name, acl := range t.ACLs {
		shown := !hasMaps(t.Fabric)
		for _, mapped := range acl.LUNs {
			shown = shown || mapped.LUN == lun
		}
		if acl.LoggedIn && shown {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// genProtocol draws what serves an Export: half of them iSCSI.
func genProtocol(t *rapid.T) spec.Protocol {
	return pick(t, "protocol", spec.ProtocolISCSI, spec.ProtocolISCSI, spec.ProtocolISCSI, spec.ProtocolISCSI, spec.ProtocolISCSI,
		spec.ProtocolISER, spec.ProtocolNVMeTCP, spec.ProtocolNVMeTCP, spec.ProtocolNVMeRDMA, spec.ProtocolFC)
}

func genExport(t *rapid.T, d document, p spec.Protocol) {
	names := namesOver(p)
	d.fields["protocol"] = p
	if own := names.targets[slices.Index(exportNames, d.id.Name)]; p == spec.ProtocolFC {
		d.fields["target"] = own // has no default
	}
	if oneIn(t, 5, "target given") {
		d.fields["target"] = pick(t, "target", names.targets...)
	}
	if len(names.portals) > 0 {
		if chosen := rapid.SliceOfNDistinct(rapid.SampledFrom(names.portals), 0, 2, rapid.ID).Draw(t, "portals"); len(chosen) > 0 {
			d.fields["portals"] = chosen
		}
	}
	if oneIn(t, 3, "disconnect") {
		d.fields["disconnect"] = "Force"
	}
	anybody, allReadOnly := p != spec.ProtocolFC && oneIn(t, 4, "allowAnyInitiator"), !p.IsNVMe() && oneIn(t, 3, "all read only")
	backings := append(slices.Clone(volumeNames), snapshotNames...)
	var luns, numbers []any
	for i, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(backings), 1, 3, rapid.ID).Draw(t, "luns") {
		lun := map[string]any{"volume": name}
		if slices.Contains(snapshotNames, name) {
			lun = map[string]any{"snapshot": name}
		}
		if oneIn(t, 3, "number given") {
			lun["lun"] = 2*i + rapid.IntRange(0, 1).Draw(t, "number")
		} else {
			lun["lun"] = 2 * i
		}
		if allReadOnly || !anybody && !p.IsNVMe() && oneIn(t, 4, "read only") {
			lun["readOnly"] = true
		}
		luns, numbers = append(luns, lun), append(numbers, lun["lun"])
	}
	d.fields["luns"] = luns
	if anybody {
		d.fields["allowAnyInitiator"] = true
		return
	}
	if listed := genInitiators(t, p, numbers); len(listed) > 0 {
		d.fields["initiators"] = listed
	}
}

// editExport changes one thing of an Export, as people do, or all but how it is served.
func editExport(t *rapid.T, old document) document {
	p := old.fields["protocol"].(spec.Protocol)
	other := document{id: old.id, meta: old.meta, fields: map[string]any{}}
	genExport(t, other, p)
	what := pick(t, "edit", "luns", "luns", "initiators", "initiators", "portals", "disconnect", "all")
	fields := map[string][]string{"luns": {"luns"}, "initiators": {"initiators"}, "portals": {"portals"}, "disconnect": {"disconnect"}}[what]
	if what == "all" || old.fields["allowAnyInitiator"] != nil || other.fields["allowAnyInitiator"] != nil {
		return other
	}
	d := document{id: old.id, meta: old.meta, fields: maps.Clone(old.fields)}
	for _, field := range fields {
		if delete(d.fields, field); other.fields[field] != nil {
			d.fields[field] = other.fields[field]
		}
	}
	return d
}

func genInitiators(t *rapid.T, p spec.Protocol, luns []any) []any {
	// tgtd does not tell the initiators of a target apart.
	alike := p == spec.ProtocolISCSI && oneIn(t, 2, "alike")
	first := map[string]any{}
	var listed []any
	least := 1
	if oneIn(t, 8, "nobody") {
		least = 0
	}
	for n, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(namesOver(p).initiators), least, 2, rapid.ID).Draw(t, "initiators") {
		i := map[string]any{"name": name}
		if alike && n > 0 {
			for field, value := range first {
				i[field] = value
			}
			listed = append(listed, i)
			continue
		}
		if !p.IsNVMe() && oneIn(t, 4, "initiator read only") {
			i["readOnly"] = true
		}
		if hidden := !alike && !p.IsNVMe() && oneIn(t, 6, "sees one only"); hidden {
			i["luns"] = []any{rapid.SampledFrom(luns).Draw(t, "sees")}
		}
		var auth map[string]any
		switch {
		case p == spec.ProtocolFC:
		case p.IsNVMe():
			auth = genKeys(t, slices.Index(nvmeNames.initiators, name))
		default:
			auth = genAuth(t, alike)
		}
		if auth != nil {
			i["auth"] = auth
		}
		if alike {
			for _, field := range []string{"readOnly", "auth"} {
				if value, given := i[field]; given {
					first[field] = value
				}
			}
		}
		listed = append(listed, i)
	}
	return listed
}

// genAuth draws passwords of iSCSI. Where one user has one password, tgtd can do it too.
func genAuth(t *rapid.T, onePassword bool) map[string]any {
	credentials := func(what string, users ...string) map[string]any {
		user := pick(t, what, users...)
		file := user
		if !onePassword {
			file = pick(t, what, "1", "2")
		}
		return map[string]any{"username": user, "passwordFrom": map[string]any{"file": "/secrets/" + file + what}}
	}
	switch rapid.IntRange(0, 3).Draw(t, "auth") {
	case 0:
		return nil
	case 3:
		return map[string]any{"chap": credentials("chap", "u", "v"), "mutual": credentials("mutual", "m", "n")}
	default:
		return map[string]any{"chap": credentials("chap", "u", "v")}
	}
}

// genKeys draws keys of an NVMe host. The kernel knows them once for all subsystems, so that
// most are the same in all Exports.
func genKeys(t *rapid.T, host int) map[string]any {
	key := func(what string) map[string]any {
		return map[string]any{"passwordFrom": map[string]any{"file": "/secrets/" + pick(t, what, "1", "1", "1", "1", "2") + what}}
	}
	switch host {
	case 0:
		return nil
	case 1:
		return map[string]any{"chap": key("chap")}
	default:
		return map[string]any{"chap": key("chap"), "mutual": key("mutual")}
	}
}
