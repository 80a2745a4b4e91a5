package spec

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

const (
	// maxRequest leaves much room in a tag of LVM, which has 1024 characters.
	maxRequest        = 63
	requestCharacters = alphanumeric + "_.-"

	schemeHTTP  = "http://"
	schemeHTTPS = "https://"
)

func (v *validation) volume(s VolumeSpec) {
	v.check("spec.pool", checkObjectName(s.Pool))
	v.check("spec.lvName", v.because("spec.lvName", "metadata.name", checkLVName(s.LVName)))
	v.deletionPolicy(s.DeletionPolicy)
	if s.Serial != "" {
		v.check("spec.serial", CheckSerial(s.Serial))
	}
	if s.Source != nil {
		v.source("spec.source", *s.Source)
		if s.Adopt {
			v.refuse("spec.source", "cannot be combined with adopt: an adopted volume already has content; remove one of the two")
		}
	}
	if s.Revert != nil {
		v.revert(*s.Revert)
		v.check("spec.revert.request", checkRequest(s.Revert.Request))
	}
}

func (v *validation) source(path string, s VolumeSource) {
	var given []string
	if s.Volume != "" {
		given = append(given, "volume")
	}
	if s.Snapshot != "" {
		given = append(given, "snapshot")
	}
	if s.Image != nil {
		given = append(given, "image")
	}
	if s.Backup != nil {
		given = append(given, "backup")
	}
	switch {
	case len(given) == 0:
		v.refuse(path, "is empty; set one of volume, snapshot, image and backup, or leave the field out")
	case len(given) > 1:
		v.refuse(path, "has %s, but a volume has one source; keep one of them", strings.Join(given, " and "))
	case s.Volume != "":
		v.check(joinPath(path, "volume"), checkObjectName(s.Volume))
	case s.Snapshot != "":
		v.check(joinPath(path, "snapshot"), checkObjectName(s.Snapshot))
	case s.Image != nil:
		v.image(joinPath(path, "image"), *s.Image)
	default:
		v.backupSource(joinPath(path, "backup"), *s.Backup)
	}
}

func (v *validation) revert(r Revert) {
	switch {
	case r.Snapshot == "" && r.Backup == nil:
		v.refuse("spec.revert", "has neither snapshot nor backup; set one of them, or leave the field out")
	case r.Snapshot != "" && r.Backup != nil:
		v.refuse("spec.revert.backup", "cannot be combined with snapshot; keep one of them")
	case r.Backup != nil:
		v.backupSource("spec.revert.backup", *r.Backup)
	default:
		v.check("spec.revert.snapshot", checkObjectName(r.Snapshot))
	}
}

func (v *validation) image(path string, i ImageSource) {
	switch {
	case i.Path == "" && i.URL == "":
		v.refuse(path, "has neither path nor url; set one of them")
	case i.Path != "" && i.URL != "":
		v.refuse(path, "has both path and url; keep one of them")
	case i.Path != "":
		v.check(joinPath(path, "path"), checkImagePath(i.Path))
	default:
		v.check(joinPath(path, "url"), checkImageURL(i.URL))
		if strings.HasPrefix(i.URL, schemeHTTP) && i.SHA256 == "" {
			v.refuse(joinPath(path, "sha256"), "is required with http://, which does not protect the content; set it, or use https://")
		}
	}
	if i.Format != "" {
		v.oneOf(joinPath(path, "format"), "image format", string(i.Format),
			string(FormatRaw), string(FormatQCOW2), string(FormatVMDK), string(FormatVHDX))
	}
	if i.SHA256 != "" {
		v.check(joinPath(path, "sha256"), checkSHA256(i.SHA256))
	}
	if i.BlockSize != 0 && i.BlockSize != DefaultBlockSize && i.BlockSize != 4096 {
		v.refuse(joinPath(path, "blockSize"), "%d is not allowed (allowed: 512, 4096)", i.BlockSize)
	}
}

func checkImagePath(path string) error {
	if strings.Contains(path, "://") {
		return errors.New("must be an absolute path on this node; write a URL in the field url")
	}
	return checkFilePath(path)
}

// checkImageURL accepts what names one file and holds no secret. Its errors do not
// repeat the URL, see [mayHoldPassword].
func checkImageURL(text string) error {
	rest, https := strings.CutPrefix(text, schemeHTTPS)
	if !https {
		var http bool
		if rest, http = strings.CutPrefix(text, schemeHTTP); !http {
			return errors.New("must begin with https:// or http:// (in lower case); write a file of this node in the field path")
		}
	}
	host := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		host = rest[:end]
	}
	switch {
	case strings.Contains(host, "@"):
		return errors.New("must not contain a user name or password (before @): specs must not contain secrets")
	case strings.Contains(rest, "#"):
		return errors.New("must not have a fragment (after #), which is never sent to a server; write %23 for a # in the name")
	case strings.ContainsFunc(rest, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return errors.New("must consist of printable ASCII characters without spaces; percent-encode other characters")
	}
	u, err := url.Parse(text)
	if err != nil {
		// What the parser says repeats pieces of the URL.
		return errors.New("is not a URL; write https://host/path or https://host:port/path, and %25 for a percent sign")
	}
	if u.Hostname() == "" {
		return errors.New("has no host; write https://host/path")
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || port == 0) {
		return fmt.Errorf("has port %s; the port must be 1 to 65535", quote(u.Port()))
	}
	return nil
}

// checkSHA256 accepts a checksum as sha256sum prints it.
func checkSHA256(text string) error {
	if raw, err := hex.DecodeString(text); err != nil || len(raw) != 32 {
		return fmt.Errorf("%s is not a SHA-256 checksum of 64 hexadecimal digits; copy it from the output of sha256sum", quote(text))
	}
	return nil
}

// checkRequest accepts what can stand in a tag of LVM and on a command line.
func checkRequest(text string) error {
	switch {
	case text == "":
		return errors.New("is empty; write any word, and a new one for each revert")
	case len(text) > maxRequest:
		return fmt.Errorf("%s has %d characters; at most %d are allowed", quote(text), len(text), maxRequest)
	case strings.HasPrefix(text, "-"):
		return fmt.Errorf("%s begins with -; it must begin with a letter or digit", quote(text))
	default:
		return checkCharacters(text, requestCharacters, "letters, digits, _, . and -")
	}
}
