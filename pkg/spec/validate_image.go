package spec

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// ChecksumSuffix is what the name of the file that holds an image's checksum has
// behind that of the image.
const ChecksumSuffix = ".sha256"

// maxImageName leaves room, of the 255 bytes of a file's name, for those of the
// hidden files in which an image and its checksum are made.
const maxImageName = 200

func (v *validation) imageFile(s ImageSpec) {
	switch {
	case s.Volume == "" && s.Snapshot == "":
		v.refuse("spec", "has neither volume nor snapshot; set one of them")
	case s.Volume != "" && s.Snapshot != "":
		v.refuse("spec.snapshot", "cannot be combined with volume; keep one of them")
	case s.Volume != "":
		v.check("spec.volume", checkObjectName(s.Volume))
	default:
		v.check("spec.snapshot", checkObjectName(s.Snapshot))
	}
	v.check("spec.path", checkImageFile(s.Path))
	v.oneOf("spec.format", "format for writing images", string(s.Format), string(FormatQCOW2), string(FormatRaw))
	if s.Compress && s.Format == FormatRaw {
		v.refuse("spec.compress", "is only possible with qcow2; remove it, or write format: qcow2")
	}
}

// checkImageFile accepts the path of a file that an image may be written to.
func checkImageFile(file string) error {
	if err := checkFilePath(file); err != nil {
		return err
	}
	name, ending := path.Base(file), path.Ext(file)
	switch {
	case file == "/":
		return errors.New("is a directory; write the path of a file")
	case len(name) > maxImageName:
		return fmt.Errorf("has a name of %d bytes; at most %d are allowed", len(name), maxImageName)
	case strings.HasPrefix(name, "."):
		return errors.New("has a name that begins with a dot, which is reserved for unfinished images; choose another name")
	case strings.Contains(name, `\`):
		return errors.New(`has a \ in its name, which checksum files cannot represent; choose another name`)
	case ending == ChecksumSuffix:
		return fmt.Errorf("ends in %s, which is reserved for checksum files; choose another name", ChecksumSuffix)
	case slices.Contains([]string{".yaml", ".yml"}, ending):
		return fmt.Errorf("ends in %s, which is reserved for specs; choose another name", ending)
	}
	for _, dir := range []string{"/dev/", "/proc/", "/sys/"} {
		if strings.HasPrefix(file, dir) {
			return fmt.Errorf("is below %s, where images cannot be written; choose another directory", dir)
		}
	}
	return nil
}
