package spec

import (
	"fmt"
	"net/netip"
	"slices"
)

// What is here is about what Exports share: names of targets, portals, the keys of a host.

// checkTargets refuses two Exports with one target name.
func (a *assembly) checkTargets() {
	first := map[string]*object{}
	for o, e := range objectsOf[Export](a) {
		if other := claimFirst(first, e.Spec.Target, o); other != nil {
			a.clash(o, other, "spec.target", "target "+e.Spec.Target)
		}
	}
}

// checkWildcards lets [::] stand for 0.0.0.0 as well, in all Exports, on the ports on
// which any of them asks for it: the kernel cannot listen on both, and [::] alone
// serves IPv4 too.
func (a *assembly) checkWildcards() {
	both := map[bool]map[uint16]bool{false: {}, true: {}}
	for _, e := range objectsOf[Export](a) {
		for _, text := range e.Spec.Portals {
			if portal, err := netip.ParseAddrPort(text); err == nil && portal.Addr() == netip.IPv6Unspecified() {
				both[e.Spec.Protocol.withoutTCP()][portal.Port()] = true
			}
		}
	}
	for i, o := range a.objects {
		e, is := o.value.(*Export)
		if !is {
			continue
		}
		if portals := withoutIPv4Wildcards(e.Spec.Portals, both[e.Spec.Protocol.withoutTCP()]); !slices.Equal(portals, e.Spec.Portals) {
			replaced := *e
			replaced.Spec.Portals = portals
			a.replace(i, &replaced)
		}
	}
}

// checkPortals finds a portal for one address where another Export serves every
// address on the same port: the kernel listens only once, and compares addresses
// without their family. Neither Export is excluded for it: a portal that listens already
// continues, and a new neighbour must not remove those that exist.
func (a *assembly) checkPortals() {
	type port struct {
		number     uint16
		withoutTCP bool
	}
	wildcards := map[port]*object{}
	for o, e := range objectsOf[Export](a) {
		for _, text := range e.Spec.Portals {
			if portal, err := netip.ParseAddrPort(text); err == nil && portal.Addr().IsUnspecified() {
				claimFirst(wildcards, port{portal.Port(), e.Spec.Protocol.withoutTCP()}, o)
			}
		}
	}
	for o, e := range objectsOf[Export](a) {
		for i, text := range e.Spec.Portals {
			portal, err := netip.ParseAddrPort(text)
			if err != nil || portal.Addr().IsUnspecified() {
				continue
			}
			if other := wildcards[port{portal.Port(), e.Spec.Protocol.withoutTCP()}]; other != nil && other.id != o.id {
				a.findings = append(a.findings, o.finding(itemPath("spec.portals", i), fmt.Errorf(
					"%s conflicts with the wildcard portal of %s (%s) on the same port; use the same portals in both Exports, or another port",
					portal, other.id, other.where("spec.portals"))))
			}
		}
	}
}

// checkHostKeys refuses two Exports that ask one NVMe host for different keys: the
// kernel knows a host once, for all subsystems.
func (a *assembly) checkHostKeys() {
	type known struct {
		export *object
		auth   Auth
	}
	hosts := map[string]known{}
	for o, e := range objectsOf[Export](a) {
		if !e.Spec.Protocol.IsNVMe() || a.invalid[o.id] != nil {
			continue
		}
		for i, host := range e.Spec.Initiators {
			var auth Auth
			if host.Auth != nil {
				auth = *host.Auth
			}
			first, seen := hosts[host.Name]
			switch {
			case !seen:
				hosts[host.Name] = known{o, auth}
			case !sameKeys(first.auth, auth):
				a.clash(o, first.export, itemPath("spec.initiators", i)+".auth",
					"the authentication of host "+host.Name+" (one per node, not per Export)")
			}
		}
	}
}

func sameKeys(a, b Auth) bool {
	same := func(a, b *Credentials) bool {
		return (a == nil) == (b == nil) && (a == nil || a.Password == b.Password && a.PasswordFrom == b.PasswordFrom)
	}
	return same(a.CHAP, b.CHAP) && same(a.Mutual, b.Mutual)
}
