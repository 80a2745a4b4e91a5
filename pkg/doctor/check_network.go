package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

func checkPorts(f Facts) []Finding {
	var all []Finding
	for _, p := range needsOf(f.Set).portals {
		if p.protocol == spec.ProtocolNVMeRDMA { // its ports are not those of TCP
			continue
		}
		for _, l := range f.Listeners {
			// A socket without a process is the kernel's: a target that exists.
			if l.PID == 0 || !overlap(l.At, p.at) || f.TGT && p.protocol == spec.ProtocolISCSI && l.Process == "tgtd" {
				continue
			}
			all = append(all, taken(p.at.String(), l, fmt.Sprintf("Export/%s cannot be reached on this portal", p.export)))
		}
	}
	if at, err := netip.ParseAddrPort(wildcard(f.Listen)); err == nil {
		for _, l := range f.Listeners {
			if overlap(l.At, at) && l.Process != "volreconciler" {
				all = append(all, taken(f.Listen, l, "nobody is answered over the network: no metrics, no dashboard"))
			}
		}
	}
	return all
}

func taken(address string, l Listener, consequence string) Finding {
	who, command := "the kernel, for a target,", "use another port"
	if l.PID != 0 {
		who = fmt.Sprintf("%s (process %d)", l.Process, l.PID)
		command = fmt.Sprintf("stop %s, or use another port; look: ss -ltnp", l.Process)
	}
	return Finding{Severity: Error, Subject: address, Text: fmt.Sprintf("%s listens on %s", who, l.At), Consequence: consequence, Command: command}
}

// wildcard makes :9842, which is every address, one that can be parsed.
func wildcard(listen string) string {
	if len(listen) > 0 && listen[0] == ':' {
		return "[::]" + listen
	}
	return listen
}

// overlap reports whether two sockets cannot listen on these addresses at once.
func overlap(a, b netip.AddrPort) bool {
	covers := func(a, b netip.Addr) bool {
		return a == b || a == netip.IPv6Unspecified() || a == netip.IPv4Unspecified() && b.Is4()
	}
	x, y := a.Addr().Unmap(), b.Addr().Unmap()
	return a.Port() == b.Port() && (covers(x, y) || covers(y, x))
}

// checkAddresses: nvmet refuses an address that the node does not have; LIO listens on it once it comes.
func checkAddresses(f Facts) []Finding {
	if len(f.Addresses) == 0 {
		return nil
	}
	var all []Finding
	for _, p := range needsOf(f.Set).portals {
		if p.at.Addr().IsUnspecified() || slices.Contains(f.Addresses, p.at.Addr()) {
			continue
		}
		found := Finding{
			Severity: Warning, Subject: p.at.String(), Text: fmt.Sprintf("this node has no address %s", p.at.Addr()),
			Consequence: fmt.Sprintf("initiators cannot reach Export/%s there until the node has that address", p.export),
			Command:     "correct spec.portals, or add the address to an interface; look: ip address",
		}
		if p.protocol.IsNVMe() {
			found.Severity = Error
			found.Consequence = fmt.Sprintf("the kernel refuses the port, so Export/%s is not served there", p.export)
		}
		all = append(all, found)
	}
	return all
}

// checkBindV6Only: a spec that asks for 0.0.0.0 where another has [::] is served by [::] alone, which takes
// IPv4 too unless this sysctl forbids it (ipv6(7), IPV6_V6ONLY).
func checkBindV6Only(f Facts) []Finding {
	if !f.BindV6Only {
		return nil
	}
	var all []Finding
	for _, p := range needsOf(f.Set).portals {
		if p.at.Addr() == netip.IPv6Unspecified() && p.protocol != spec.ProtocolNVMeRDMA {
			all = append(all, Finding{
				Severity: Warning, Subject: p.at.String(), Text: "net.ipv6.bindv6only = 1: a portal on [::] does not accept IPv4",
				Consequence: fmt.Sprintf("initiators with IPv4 addresses cannot connect to Export/%s, nor to others on that port", p.export),
				Command:     "sysctl -w net.ipv6.bindv6only=0, and remove it from /etc/sysctl.d; then restart the node",
			})
		}
	}
	return all
}
