package observe

import (
	"fmt"
	"maps"
	"path"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
)

func readBackstores(h host.Files) (map[string]Backstore, error) {
	hbas, err := readDirIfThere(h, BackstoresDir)
	if err != nil {
		return nil, err
	}
	backstores := map[string]Backstore{}
	var paths []string // as in iblock_0/name
	for _, hba := range hbas {
		if strings.HasPrefix(hba, fileHBA) {
			addFileBackstores(h, backstores, hba)
		}
		if !strings.HasPrefix(hba, "iblock_") {
			continue
		}
		names, err := readDirIfThere(h, HBADir(hba))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			paths = append(paths, path.Join(hba, name))
		}
	}
	block, err := readEach(paths, func(p string) (Backstore, bool, error) {
		hba, name := path.Split(p)
		hba = path.Clean(hba)
		dir := BackstoreDir(hba, name)
		return remembered(h, dir, func() (Backstore, bool, error) {
			return settled(h, dir, func() (Backstore, error) { return ReadBackstore(h, hba, name) })
		})
	})
	maps.Copy(backstores, block)
	return backstores, err
}

// unmapDescriptors is the attribute with the number of ranges of a discard.
const unmapDescriptors = "max_unmap_block_desc_count"

// ReadBackstore reads one block backstore. The error is fs.ErrNotExist if it, or
// its HBA, does not exist.
func ReadBackstore(h host.Files, hba, name string) (Backstore, error) {
	dir := BackstoreDir(hba, name)
	text, err := h.ReadFile(path.Join(dir, "info"))
	if err != nil {
		return Backstore{}, err
	}
	info, err := parseBackstoreInfo(string(text))
	if err != nil {
		return Backstore{}, fmt.Errorf("%s: %w", dir, err)
	}
	serial, err := h.ReadFile(path.Join(dir, "wwn", "vpd_unit_serial"))
	if err != nil {
		return Backstore{}, err
	}
	unmap, err := readFlag(h, path.Join(dir, "attrib", "emulate_tpu"))
	if err != nil {
		return Backstore{}, err
	}
	b := Backstore{
		HBA:         hba,
		Name:        name,
		Enabled:     info.blockDevice != "",
		BlockDevice: info.blockDevice,
		Device:      info.path,
		Serial:      parseUnitSerial(string(serial)),
		ReadOnly:    info.readOnly,
		Unmap:       unmap,
	}
	if _, made := b.Owner(); !made {
		if b.Mark, err = ReadBackstoreMark(h, hba, name); err != nil {
			return b, err
		}
	}
	_, ours := b.Owner()
	if !ours && !anyAdopted(h) {
		b.CanUnmap, err = readCanUnmap(h, b)
		return b, err
	}
	if !ours {
		if b, err = readShown(h, b); err != nil {
			return b, err
		}
	}
	return readBackstoreSettings(h, b)
}

// readCanUnmap reads whether a backstore could pass discards on: what the kernel copied from the device when it was
// bound (target_configure_unmap_from_queue in drivers/target/target_core_device.c); 0: no discards.
func readCanUnmap(h host.Files, b Backstore) (bool, error) {
	if b.Unmap {
		return true, nil
	}
	descriptors, read := b.Attributes[unmapDescriptors]
	if !read {
		var err error
		if descriptors, err = readText(h, BackstoreAttributeFile(b.HBA, b.Name, unmapDescriptors)); err != nil {
			return false, err
		}
	}
	return descriptors != "0", nil
}

// ReadBackstoreMark reads the alias of a backstore, where the mark is of one that was adopted.
func ReadBackstoreMark(h host.Files, hba, name string) (string, error) {
	return readTextIfThere(h, BackstoreMark(hba, name))
}

// readBackstoreSettings adds the attributes of a backstore, and who has reserved it.
func readBackstoreSettings(h host.Files, b Backstore) (Backstore, error) {
	values, err := readAttributes(h, []string{"atomic_max_len", "emulate_tpws"}, func(attribute string) string {
		return BackstoreAttributeFile(b.HBA, b.Name, attribute)
	})
	if err != nil {
		return b, err
	}
	b.UnmapBySame = values["emulate_tpws"] == "1"
	b.HidesLimits = values["atomic_max_len"] == "0" // older kernels do not have it
	if b.Registrations, err = readRegistrations(h, b); err != nil {
		return b, err
	}
	if b.Attributes, err = readBackstoreAttributes(h, b.HBA, b.Name); err != nil {
		return b, err
	}
	b.CanUnmap, err = readCanUnmap(h, b)
	return b, err
}

// fileHBA is what the directories of file backstores begin with. They serve block devices
// as well, and do not open them for themselves alone.
const fileHBA = "fileio_"

// addFileBackstores adds the file backstores of an HBA that serve a block device. They are
// always somebody else's. One that cannot be read is left out: it is there to be named.
func addFileBackstores(h host.Files, backstores map[string]Backstore, hba string) {
	names, _ := readDirIfThere(h, HBADir(hba))
	for _, name := range names {
		b := Backstore{HBA: hba, Name: name, Enabled: true}
		if _, taken := b.Owner(); taken {
			continue
		}
		var found bool
		if b.BlockDevice, found = backstoreDevice(h, hba, name); found {
			backstores[b.Path()] = b
		}
	}
}

// backstoreDevice returns the block device that a backstore of any kind is bound to, as in
// dm-3. It reports false if there is none, or if it is something else.
func backstoreDevice(h host.Files, hba, name string) (string, bool) {
	info, err := h.ReadFile(path.Join(BackstoreDir(hba, name), "info"))
	if err != nil {
		return "", false
	}
	if device, is := field(string(info), "iBlock device: ", "  "); is {
		return device, device != ""
	}
	// fd_show_configfs_dev_params in drivers/target/target_core_file.c.
	file, is := field(string(info), "  File: ", "  Size: ")
	if !is || !strings.HasPrefix(file, "/dev/") {
		return "", false
	}
	return kernelNameOf(h, file), true
}
