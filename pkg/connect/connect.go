package connect

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Request asks how an initiator reaches an Export.
type Request struct {
	// Export is valid and has its defaults.
	Export spec.Export
	// Initiator is the IQN, NQN or WWPN of who wants to connect.
	Initiator string
	// Multipath asks for all portals instead of the first.
	Multipath bool
	// ShowSecrets lets passwords be seen.
	ShowSecrets bool

	// Addresses are those of the node, for portals that serve all of them.
	Addresses []netip.Addr
	// LUNs are those of the Export. Of them the initiator is shown what its entry
	// says.
	LUNs []LUN
	// FirstLUN is what initiators call LUN 0 of an Export over iSCSI: 1 if tgtd
	// serves it, else 0.
	FirstLUN int
	// DiscoveryAuth is what discovery asks for; nil: nothing.
	DiscoveryAuth *spec.Auth
}

// LUN is one logical unit, or namespace, as it is on the node.
type LUN struct {
	// Object is the Volume or Snapshot behind it.
	Object spec.ID
	// Number is the logical unit number. The namespace identifier of NVMe is one
	// more, because it begins at 1.
	Number int
	Size   uint64 // bytes
	// WWN is the NAA identifier that SCSI initiators see, as naa.6001405….
	WWN string
	// UUID is that of the NVMe namespace. Empty: there is no such volume on the
	// node, and what is above is unknown.
	UUID string
	// ReadOnly is for every initiator.
	ReadOnly bool
	// Discard is true if discards reach the volume.
	Discard bool
	// Instead is what the target has under the number by now, if it is something else.
	Instead string
}

// namespaceID is the LUN's number where it is an NVMe namespace.
func (l LUN) namespaceID() int { return l.Number + 1 }

// number is what initiators call a LUN.
func (c Connection) number(lun LUN) int { return lun.Number + c.request.FirstLUN }

// Connection is how one initiator reaches one Export.
type Connection struct {
	request   Request
	initiator spec.Initiator
	portals   []netip.AddrPort // empty for Fibre Channel
}

// Resolve returns how an initiator reaches an Export. It is an error if the
// initiator's name is missing or malformed, if the Export does not list it, or if it would see
// nothing. The error is [ErrNotThere] for a volume that is not on the node, [ErrNotShown] for one that
// is not under its number yet, and [ErrNoAddress] if no address is left to connect to.
func Resolve(r Request) (Connection, error) {
	initiator, err := initiatorOf(r.Export, r.Initiator)
	if err != nil {
		return Connection{}, err
	}
	r.LUNs = slices.DeleteFunc(slices.Clone(r.LUNs), func(lun LUN) bool { return !initiator.Sees(lun.Number) })
	if len(r.LUNs) == 0 {
		return Connection{}, fmt.Errorf("%s has no LUNs in Export %s; list some under spec.initiators", initiator.Name, r.Export.Metadata.Name)
	}
	if missing := r.missing(); len(missing) > 0 {
		return Connection{}, fmt.Errorf("%s %w, so initiators cannot connect to Export %s", areOrIs(missing), ErrNotThere, r.Export.Metadata.Name)
	}
	for _, lun := range r.LUNs {
		if lun.Instead != "" {
			return Connection{}, fmt.Errorf("%s is LUN %d of Export %s %w: the number is used by %s", lun.Object, lun.Number, r.Export.Metadata.Name, ErrNotShown, lun.Instead)
		}
	}
	c := Connection{request: r, initiator: initiator}
	if r.Export.Spec.Protocol == spec.ProtocolFC {
		if _, err := spec.NormalizeWWPN(r.Export.Spec.Target); err != nil {
			return Connection{}, fmt.Errorf("the target of Export %s: %w", r.Export.Metadata.Name, err)
		}
		return c, nil
	}
	c.portals, err = portalsFor(r.Export.Spec.Portals, r.Addresses)
	if err != nil {
		return Connection{}, err
	}
	if !r.Multipath {
		c.portals = c.portals[:1]
	}
	return c, nil
}

// missing are the objects that are not on the node.
func (r Request) missing() []string {
	var names []string
	for _, lun := range r.LUNs {
		if lun.UUID == "" {
			names = append(names, lun.Object.String())
		}
	}
	return names
}

func areOrIs(names []string) string {
	verb := " is"
	if len(names) > 1 {
		verb = " are"
	}
	return strings.Join(names, " and ") + verb
}

// ConnectionInfo is what Cinder's drivers return from initialize_connection.
type ConnectionInfo struct {
	// DriverVolumeType is iscsi, iser, nvmeof or fibre_channel.
	DriverVolumeType string `json:"driver_volume_type"`
	// Data is an [ISCSIData], [NVMeData] or [FCData].
	Data any `json:"data"`
}

// Infos returns one ConnectionInfo per LUN, in the order of the request.
func (c Connection) Infos() []ConnectionInfo {
	var infos []ConnectionInfo
	for _, lun := range c.request.LUNs {
		switch c.protocol() {
		case spec.ProtocolISER:
			infos = append(infos, ConnectionInfo{"iser", c.iscsiData(lun)})
		case spec.ProtocolNVMeTCP, spec.ProtocolNVMeRDMA:
			infos = append(infos, ConnectionInfo{"nvmeof", c.nvmeData(lun)})
		case spec.ProtocolFC:
			infos = append(infos, ConnectionInfo{"fibre_channel", c.fcData(lun)})
		default: // Resolve lets no other through
			infos = append(infos, ConnectionInfo{"iscsi", c.iscsiData(lun)})
		}
	}
	return infos
}

// HasPassword reports whether there is a password among the data.
func (c Connection) HasPassword() bool {
	discovery := c.request.DiscoveryAuth
	return c.chap() != nil || discovery != nil && discovery.CHAP != nil
}

func (c Connection) protocol() spec.Protocol { return c.request.Export.Spec.Protocol }

func (c Connection) target() string { return c.request.Export.Spec.Target }

// chap and mutual are what the initiator and the target must prove; nil: nothing.
func (c Connection) chap() *spec.Credentials {
	if c.initiator.Auth == nil {
		return nil
	}
	return c.initiator.Auth.CHAP
}

func (c Connection) mutual() *spec.Credentials {
	if c.initiator.Auth == nil {
		return nil
	}
	return c.initiator.Auth.Mutual
}

// readOnly reports whether the initiator cannot write to a LUN.
func (c Connection) readOnly(lun LUN) bool { return lun.ReadOnly || c.initiator.ReadOnly }

// accessMode is the seed's word for it.
func (c Connection) accessMode(lun LUN) string {
	if c.readOnly(lun) {
		return "ro"
	}
	return "rw"
}

// Format keeps passwords out of whatever prints a Connection: package fmt does not
// ask the values of unexported fields how they want to be printed.
func (c Connection) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "connection of %s to Export %s", c.initiator.Name, c.request.Export.Metadata.Name)
}

// Password is a password in the data: it reads "<redacted>", but where it is to be
// shown and is marshalled.
type Password struct {
	spec.Secret // with its way of being printed
	shown       bool
}

// MarshalText gives the password away if that was asked for.
func (p Password) MarshalText() ([]byte, error) {
	if p.shown {
		return []byte(p.Reveal()), nil
	}
	return p.Secret.MarshalText()
}

func (c Connection) password(of *spec.Credentials) *Password {
	return &Password{of.Password, c.request.ShowSecrets}
}

// ErrNotShown is for numbers of LUNs that the spec gives to something else than the target does:
// whoever connects by them would get the wrong disk.
var ErrNotShown = errors.New("only in the files")

// ErrNotThere is for volumes and snapshots that an initiator would see if they
// existed.
var ErrNotThere = errors.New("not on the node")

// ErrNoAddress is for portals that serve every address of a node of which none is
// known.
var ErrNoAddress = errors.New("no address of the node is known")

// portalsFor returns the portals to connect to, in their order: a portal that serves every
// address of the node is replaced by the addresses given. [::] serves IPv4 as well.
func portalsFor(portals []string, addresses []netip.Addr) ([]netip.AddrPort, error) {
	var out []netip.AddrPort
	add := func(portal netip.AddrPort) {
		if !slices.Contains(out, portal) {
			out = append(out, portal)
		}
	}
	for _, text := range portals {
		portal, err := netip.ParseAddrPort(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a portal: %w", text, err)
		}
		if !portal.Addr().IsUnspecified() {
			add(portal)
			continue
		}
		for _, address := range addresses {
			if address = address.Unmap(); address.Is4() || portal.Addr().Is6() {
				add(netip.AddrPortFrom(address, portal.Port()))
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w, and the portals (%s) have no address that initiators can connect to", ErrNoAddress, strings.Join(portals, ", "))
	}
	return out, nil
}
