package observe

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// Registration is the key that an initiator registered with a backstore, see SPC-4,
// persistent reservations.
type Registration struct {
	// Initiator is empty if there may be others, which the kernel does not show.
	Initiator string
	// SID tells the sessions of an initiator apart, 12 hexadecimal digits; empty on
	// other fabrics than iSCSI.
	SID string
	Key uint64
	// Target is the iSCSI target by which it was made; empty if nothing says so: the kernel
	// says it only of what it keeps.
	Target string
	// Kept is true if the kernel keeps it outside of configfs, so that a backstore that
	// is made anew can have it back.
	Kept bool
}

// String names the initiator and its key, as sg_persist(8) does.
func (r Registration) String() string {
	if r.Initiator == "" {
		return "others that the kernel does not show"
	}
	return fmt.Sprintf("%s (key 0x%x)", r.Initiator, r.Key)
}

// KeptRegistration is one that the kernel keeps in a file, for the reservations that an
// initiator asked to outlive a reboot (APTPL).
type KeptRegistration struct {
	Registration
	// Fields are its lines, name=value, as the kernel takes them back.
	Fields []string
}

// readRegistrations reads who is registered with a backstore; most often nobody.
func readRegistrations(h host.Files, b Backstore) ([]Registration, error) {
	text, err := h.ReadFile(path.Join(BackstoreDir(b.HBA, b.Name), "pr", "res_pr_registered_i_pts"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a kernel without them
	} else if err != nil {
		return nil, err
	}
	if len(parseRegistrations(string(text))) == 0 {
		return nil, nil
	}
	kept, _ := ReadKeptRegistrations(h, b.Serial) // what cannot be read is not kept, or as good as
	return registrationsIn(string(text), kept, syscall.Getpagesize()), nil
}

// longestRegistration is the size of the kernel's buffer for one.
const longestRegistration = 384

// registrationsIn returns the registrations that the kernel shows, and those for which there may have
// been no room: it shows no more than one page of them. It keeps all of them, if any.
func registrationsIn(text string, kept []KeptRegistration, page int) []Registration {
	registrations := parseRegistrations(text)
	left := addTargetNames(registrations, kept)
	if len(text)+longestRegistration < page {
		return registrations
	}
	for _, k := range left {
		k.Kept = true
		registrations = append(registrations, k.Registration)
	}
	if len(kept) == 0 {
		registrations = append(registrations, Registration{})
	}
	return registrations
}

// addTargetNames adds to registrations what the kernel says only of those that it keeps. What it has kept
// remains in the file when a target is removed: of several that are alike, it may not be clear which one
// is there.
// It returns what is in the file alone.
func addTargetNames(registrations []Registration, kept []KeptRegistration) (left []KeptRegistration) {
	left = slices.Clone(kept)
	for i := range registrations {
		r := &registrations[i]
		n := slices.IndexFunc(left, func(k KeptRegistration) bool { return k.sameAs(*r) })
		if n >= 0 { // one that was made by several targets is there as often
			r.Kept, r.Target = true, left[n].Target
			left = slices.Delete(left, n, n+1)
		}
	}
	for i := range registrations {
		r := &registrations[i]
		if slices.ContainsFunc(left, func(k KeptRegistration) bool { return k.sameAs(*r) && k.Target != r.Target }) {
			r.Target = ""
		}
	}
	return left
}

// sameAs reports whether registrations differ in nothing but the target by which they were made.
func (r Registration) sameAs(other Registration) bool {
	return r.Initiator == other.Initiator && r.SID == other.SID && r.Key == other.Key
}

// parseRegistrations reads lines as the kernel writes them
// (target_pr_res_pr_registered_i_pts_show in drivers/target/target_core_configfs.c):
//
//	iSCSI Node: iqn.2003-01.org.example:a,i,0x00023d000001 Key: 0x0000000000abc123 PRgen: 0x00000000
func parseRegistrations(text string) []Registration {
	var registrations []Registration
	for line := range strings.Lines(text) {
		_, rest, is := strings.Cut(line, " Node: ")
		port, rest, hasKey := strings.Cut(rest, " Key: 0x")
		digits, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		key, err := strconv.ParseUint(digits, 16, 64)
		if !is || !hasKey || err != nil {
			continue
		}
		initiator, sid, _ := strings.Cut(port, ",i,0x")
		registrations = append(registrations, Registration{Initiator: initiatorName(initiator), SID: strings.ToLower(sid), Key: key})
	}
	return registrations
}

// initiatorName returns the name of an initiator as access lists have it.
func initiatorName(name string) string {
	if strings.Count(name, ":") == 7 {
		return normalWWPN(name)
	}
	return name
}

// ReadKeptRegistrations returns what the kernel keeps for the unit serial of a backstore
// (core_scsi3_update_and_write_aptpl in drivers/target/target_core_pr.c); nothing if it
// keeps nothing.
func ReadKeptRegistrations(h host.Files, serial string) ([]KeptRegistration, error) {
	dir, err := ReadDBRoot(h)
	if err != nil {
		return nil, err
	}
	text, err := h.ReadFile(KeptRegistrationsFile(dir, serial))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return parseKept(string(text)), nil
}

// KeptRegistrationsFile is where the kernel keeps them.
func KeptRegistrationsFile(dbRoot, serial string) string {
	return path.Join(ReservationsDir(dbRoot), "aptpl_"+serial)
}

func parseKept(text string) []KeptRegistration {
	var kept []KeptRegistration
	var at *KeptRegistration
	for line := range strings.Lines(text) {
		line = strings.Trim(line, "\x00 \n")
		name, value, _ := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(line, "PR_REG_START:"):
			at = &KeptRegistration{}
		case at == nil || line == "":
		case strings.HasPrefix(line, "PR_REG_END:"):
			kept, at = append(kept, *at), nil
		default:
			at.Fields = append(at.Fields, line)
			switch name {
			case "initiator_node":
				at.Initiator = initiatorName(value)
			case "initiator_sid":
				at.SID = strings.ToLower(value)
			case "target_node":
				if strings.HasPrefix(value, "iqn.") || strings.HasPrefix(value, "eui.") {
					at.Target = value
				}
			case "sa_res_key":
				at.Key, _ = strconv.ParseUint(value, 10, 64)
			}
		}
	}
	return kept
}
