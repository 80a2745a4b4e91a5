package observe

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// ImageFile is what is at the path of an image, and beside it.
type ImageFile struct {
	// Exists is true if anything is there, and Size how large it is, in bytes.
	Exists bool
	Size   uint64
	// SHA256 is the checksum in the file beside the image; empty: there is none, or
	// the path is no regular file. Both files exist only if the image is complete.
	SHA256 string
	// NoDirectory is true if there is not even a directory to write it to.
	NoDirectory bool
	// Err is why the file could not be read; the other fields mean nothing then.
	Err error
}

// IsWritten reports whether the image exists and is complete.
func (f ImageFile) IsWritten() bool { return f.Err == nil && f.Exists && f.SHA256 != "" }

// maxChecksumFile is more, in bytes, than a checksum and the name of an image take.
const maxChecksumFile = 4096

// readImageFiles looks at image files. It does not read what is in them.
func readImageFiles(h host.Files, paths []string) map[string]ImageFile {
	all := make(map[string]ImageFile, len(paths))
	for _, p := range paths {
		f, err := readImageFile(h, p)
		if err != nil {
			f = ImageFile{Err: err}
		}
		all[p] = f
	}
	return all
}

func readImageFile(h host.Files, p string) (ImageFile, error) {
	image, err := h.Lstat(p)
	if errors.Is(err, fs.ErrNotExist) {
		// The last dot has symlinks to directories followed.
		_, err := h.Lstat(path.Dir(p) + "/.")
		if errors.Is(err, fs.ErrNotExist) {
			return ImageFile{NoDirectory: true}, nil
		}
		return ImageFile{}, err
	}
	if err != nil {
		return ImageFile{}, err
	}
	f := ImageFile{Exists: true, Size: uint64(image.Size())}
	if !image.Mode().IsRegular() {
		return f, nil
	}
	f.SHA256, err = readChecksum(h, p+spec.ChecksumSuffix, path.Base(p))
	return f, err
}

// readChecksum returns the checksum of an image from a file in the form of
// sha256sum; empty: there is none of that image.
func readChecksum(h host.Files, p, image string) (string, error) {
	switch info, err := h.Lstat(p); {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case !info.Mode().IsRegular() || info.Size() > maxChecksumFile:
		return "", nil
	}
	text, err := h.ReadFile(p)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	sum, name, _ := strings.Cut(strings.TrimSuffix(string(text), "\n"), "  ")
	if err != nil || len(sum) != 64 || strings.Trim(sum, "0123456789abcdef") != "" || name != image {
		return "", err
	}
	return sum, nil
}
