package main

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	defaultImageCache     = "/var/cache/volreconciler/images"
	defaultBackupCache    = "/var/cache/volreconciler/restic"
	defaultImageCacheSize = 20 << 30
	defaultImageCacheAge  = 7 * 24 * time.Hour
	// minCopyRate is the least that data can be limited to: with less, jobs that the limit
	// is shared by do not get anywhere, and it is a forgotten unit as a rule.
	minCopyRate = 1 << 20
)

// dataSettings are those of jobs that move data.
type dataSettings struct {
	maxJobs  int
	copyRate spec.Size // bytes per second, of all jobs together; 0: no limit
	// verifyCopies reads what was copied again.
	verifyCopies bool

	imageCache     string
	imageCacheSize spec.Size
	imageCacheAge  time.Duration
	imageProxy     string // empty: as the environment says
	imageCAFile    string // empty: the machine's certificates alone

	// backupCache is restic's.
	backupCache string
}

// dataSettingNames are their names, for the commands that move data.
var dataSettingNames = []string{"max-jobs", "copy-rate", "verify-copies", "image-cache", "image-cache-size", "image-cache-age", "image-proxy", "image-ca-file", "backup-cache"}

// addDataSettings adds them, with their defaults.
func (s *settings) addDataSettings() {
	d := &s.data
	*d = dataSettings{maxJobs: execute.DefaultJobs, imageCache: defaultImageCache, imageCacheSize: defaultImageCacheSize, imageCacheAge: defaultImageCacheAge, backupCache: defaultBackupCache}
	s.all.Var(positive(&d.maxJobs), "max-jobs", "number of copy jobs (copies, imports, wipes) that run at once; one is reserved for jobs of at most 1Gi, for example 4")
	s.all.Var(size(&d.copyRate, minCopyRate), "copy-rate", "total read rate of all copy jobs in bytes per second, for example 200Mi (default 0: unlimited)")
	s.all.Var(trueOrFalse(&d.verifyCopies), "verify-copies", "read and compare each copy before the volume is used (default: false)")
	s.all.Lookup("verify-copies").NoOptDefVal = "true" // the flag alone says yes
	s.all.Var(text(&d.imageCache, "dir", absolute), "image-cache", "directory for downloaded images, for example /srv/images")
	s.all.Var(size(&d.imageCacheSize, 0), "image-cache-size", "maximum size of the image cache, for example 20Gi; the least recently used images are removed first")
	s.all.Var(duration(&d.imageCacheAge, 0), "image-cache-age", "time for which an unused image is kept in the cache, for example 720h")
	s.all.Var(text(&d.imageProxy, "url", proxy), "image-proxy", "URL of the proxy for image downloads, for example http://proxy.example.org:3128 (default: HTTPS_PROXY and NO_PROXY)")
	s.all.Var(text(&d.imageCAFile, "file", absolute), "image-ca-file", "PEM file with additional CA certificates for image downloads, for example /etc/ssl/images.pem (default: only the node's certificates)")
	s.all.Var(text(&d.backupCache, "dir", absolute), "backup-cache", "directory for restic's cache of the repositories of backups, for example /srv/restic-cache")
}

// positive is a setting that is a whole number of at least 1.
func positive(target *int) value[int] {
	return value[int]{target, "int", func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return 0, errors.New("write a whole number of at least 1")
		}
		return n, nil
	}}
}

// trueOrFalse is a setting that is true or false.
func trueOrFalse(target *bool) value[bool] {
	return value[bool]{target, "bool", func(text string) (bool, error) {
		if text != "true" && text != "false" {
			return false, errors.New("must be true or false")
		}
		return text == "true", nil
	}}
}

// size is a setting that is 0, or a size of at least least bytes.
func size(target *spec.Size, least spec.Size) value[spec.Size] {
	return value[spec.Size]{target, "size", func(text string) (spec.Size, error) {
		if text == "0" {
			return 0, nil
		}
		switch n, err := spec.ParseSize(text); {
		case err != nil:
			return 0, errors.New("write a size with a unit, for example 200Mi or 20Gi")
		case n < least:
			return 0, fmt.Errorf("must be 0 or at least %s", least)
		default:
			return n, nil
		}
	}}
}

// proxy checks the address of a proxy.
func proxy(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("write the URL of a proxy, for example http://proxy.example.org:3128")
	case u.User != nil:
		return "", errors.New("must not contain a user name: all users of the node could read the password")
	}
	return text, nil
}
