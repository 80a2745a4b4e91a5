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
		v.refuse("spec", "names nothing to make an image of; give volume or snapshot")
	case s.Volume != "" && s.Snapshot != "":
		v.refuse("spec.snapshot", "names a second thing beside volume, but an image is of one; keep one of them")
	case s.Volume != "":
		v.check("spec.volume", checkObjectName(s.Volume))
	default:
		v.check("spec.snapshot", checkObjectName(s.Snapshot))
	}
	v.check("spec.path", checkImageFile(s.Path))
	v.oneOf("spec.format", "format that images are written in", string(s.Format), string(FormatQCOW2), string(FormatRaw))
	if s.Compress && s.Format == FormatRaw {
		v.refuse("spec.compress", "is for qcow2 only; take it out, or write format: qcow2")
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
		return errors.New("has a name that begins with a dot, as those of unfinished images do; take another")
	case strings.Contains(name, `\`):
		return errors.New(`has a \ in its name, which files of checksums cannot have as it is; take another`)
	case ending == ChecksumSuffix:
		return fmt.Errorf("ends in %s, as the files of checksums do; take another name", ChecksumSuffix)
	case slices.Contains([]string{".yaml", ".yml"}, ending):
		return fmt.Errorf("ends in %s, as specs do; take another name", ending)
	}
	for _, dir := range []string{"/dev/", "/proc/", "/sys/"} {
		if strings.HasPrefix(file, dir) {
			return fmt.Errorf("is below %s, which is no place for files", dir)
		}
	}
	return nil
}
