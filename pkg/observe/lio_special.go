package observe

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// defaultPortGroup is the ALUA group that every backstore has.
const defaultPortGroup = "default_tg_pt_gp"

// readShown adds what initiators see of a backstore that somebody else made.
func readShown(h host.Files, b Backstore) (Backstore, error) {
	dir := BackstoreDir(b.HBA, b.Name)
	var err error
	if b.Product, err = readTextIfThere(h, path.Join(dir, "wwn", "product_id")); err != nil {
		return b, err
	}
	b.Special, err = readSpecialties(h, dir)
	return b, err
}

// readSpecialties reads what a backstore of somebody else shows to initiators and a backstore of
// ours cannot show: the agent could not restore it after a reboot. The defaults are those of
// drivers/target/target_core_device.c.
func readSpecialties(h host.Files, dir string) ([]string, error) {
	var special []string
	for _, a := range []struct {
		what, file string
		defaults   []string
	}{
		{"vendor", "wwn/vendor_id", []string{"LIO-ORG"}},
		{"company id", "wwn/company_id", []string{"0x001405"}},
		{"protection type", "attrib/pi_prot_type", []string{"0"}},
		{"ALUA state", path.Join("alua", defaultPortGroup, "alua_access_state"), []string{"0"}}, // active/optimized
	} {
		value, err := readTextIfThere(h, path.Join(dir, a.file))
		if err != nil {
			return nil, err
		}
		if value != "" && !slices.Contains(a.defaults, value) {
			special = append(special, fmt.Sprintf("%s %s", a.what, value))
		}
	}
	logical, err := readTextIfThere(h, path.Join(dir, "attrib", "block_size"))
	if err != nil {
		return nil, err
	}
	physical, err := readTextIfThere(h, path.Join(dir, "attrib", "hw_block_size"))
	if err != nil {
		return nil, err
	}
	if logical != physical {
		special = append(special, "block size "+logical)
	}
	groups, err := readDirIfThere(h, path.Join(dir, "alua"))
	for _, group := range groups {
		if group != defaultPortGroup {
			special = append(special, "ALUA group "+group)
		}
	}
	return special, err
}

// readTextIfThere reads a file that older kernels do not have; empty: it is not there.
func readTextIfThere(h host.Files, file string) (string, error) {
	text, err := readText(h, file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return text, err
}
