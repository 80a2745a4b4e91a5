// Command drifting changes by hand what the agent keeps, in a guest, and prints how long each change
// lasted, in seconds from the end of the hand's command until all is as it was:
//
//	tag 0.213
//
// It looks every 10 ms. Its arguments are exports, each of the thin volume of its name in vg0.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	look     = 10 * time.Millisecond
	patience = time.Minute
	configFS = "/sys/kernel/config/target/"
)

// drift is something that is changed by hand.
type drift struct {
	name string
	// hand is a script in the directory of the portal group; $E is the export.
	hand string
	// files are patterns of files that are to be as they were, below configFS.
	files []string
	// tags is true if the tags of the volume are to be as they were.
	tags bool
}

// drifts are in the order in which they are done. Of a pattern that ends with * only the links count.
var drifts = []drift{
	{name: "lun", hand: "find acls/*/lun_0 lun/lun_0 -type l -delete; rmdir acls/*/lun_0 lun/lun_0", files: []string{"iscsi/*:$E/tpgt_1/lun/lun_0/*", "iscsi/*:$E/tpgt_1/acls/*/lun_0/*"}},
	{name: "acl", hand: "find acls -type l -delete; rmdir acls/*/lun_0 acls/*", files: []string{"iscsi/*:$E/tpgt_1/acls/*/attrib/authentication", "iscsi/*:$E/tpgt_1/acls/*/lun_0/*"}},
	{name: "attribute", hand: "echo 1 > attrib/generate_node_acls", files: []string{"iscsi/*:$E/tpgt_1/attrib/generate_node_acls"}},
	{name: "tag", hand: "lvchange -qq --deltag volreconciler/name=$E vg0/$E", tags: true},
	{
		name: "activation", hand: "find acls/*/lun_0 lun/lun_0 -type l -delete; rmdir acls/*/lun_0 lun/lun_0 ../../../core/iblock_*/volreconciler:volume:$E; lvchange -qq -an vg0/$E",
		files: []string{"core/iblock_*/volreconciler:volume:$E/enable", "iscsi/*:$E/tpgt_1/lun/lun_0/*", "iscsi/*:$E/tpgt_1/acls/*/lun_0/*"},
	},
}

func main() {
	times := flag.Int("times", 20, "how often each is changed")
	pause := flag.Duration("pause", time.Second, "time between two changes")
	seed := flag.Uint64("seed", 1, "of the choice of exports")
	flag.Parse()
	random := rand.New(rand.NewPCG(*seed, 0)) //nolint:gosec // it is to be repeated
	for _, d := range drifts {
		for range *times {
			rest(*pause)
			took, err := d.once(flag.Arg(random.IntN(flag.NArg())))
			if err != nil {
				_, _ = fmt.Fprintf(os.Stderr, "%s: %v\n", d.name, err)
				os.Exit(1)
			}
			_, _ = fmt.Fprintf(os.Stdout, "%s %.3f\n", d.name, took.Seconds())
		}
	}
}

// once changes one export and returns how long that lasted.
func (d drift) once(export string) (time.Duration, error) {
	before := d.state(export)
	tagsBefore, err := tags(export)
	if err != nil {
		return 0, err
	}
	portals, err := filepath.Glob(configFS + "iscsi/*:" + export + "/tpgt_1")
	if err != nil || len(portals) != 1 {
		return 0, fmt.Errorf("%s has the portal groups %q: %w", export, portals, err)
	}
	hand := exec.Command("sh", "-c", "set -e; "+d.hand) //nolint:gosec // its scripts are above
	hand.Dir, hand.Env = portals[0], append(os.Environ(), "E="+export)
	if out, err := hand.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%s: %w: %s", export, err, out)
	}
	ended := time.Now()
	if d.tags {
		return awaitTags(export, tagsBefore, ended)
	}
	for {
		now := d.state(export)
		switch took := time.Since(ended); {
		case slices.Equal(before, now):
			return took, nil
		case took > patience:
			return 0, fmt.Errorf("%s is still %q instead of %q", export, now, before)
		}
		rest(look)
	}
}

// state is what the files of an export say, and the names to which links lead.
func (d drift) state(export string) []string {
	var state []string
	for _, pattern := range d.files {
		files, _ := filepath.Glob(configFS + strings.ReplaceAll(pattern, "$E", export))
		for _, f := range files {
			if to, err := os.Readlink(f); err == nil {
				state = append(state, filepath.Base(to))
			} else if filepath.Base(pattern) == "*" {
				continue // not a link
			} else if data, err := os.ReadFile(f); err == nil { //nolint:gosec // the patterns are above
				state = append(state, string(data))
			}
		}
	}
	return state
}

func tags(export string) (string, error) {
	out, err := exec.Command("lvs", "--noheadings", "-o", "lv_tags", "vg0/"+export).Output() //nolint:gosec // of the command line
	return string(out), err
}

// awaitTags waits until LVM has written its metadata, and nothing more for a moment, and then asks it
// whether the tags are as before: each question costs more than the agent's correction.
func awaitTags(export, before string, ended time.Time) (time.Duration, error) {
	header, err := metadataHeader()
	if err != nil {
		return 0, err
	}
	var written time.Time
	for time.Since(ended) < patience {
		rest(look)
		now, err := metadataHeader()
		if err != nil {
			return 0, err
		}
		if !bytes.Equal(header, now) {
			header, written = now, time.Now()
		}
		if written.IsZero() || time.Since(written) < 10*look {
			continue
		}
		if now, err := tags(export); err == nil && now == before {
			return written.Sub(ended), nil
		}
		written = time.Time{}
	}
	return 0, errors.New("the tags of " + export + " are still missing")
}

// metadataHeader is the header of the metadata area of vg0's only physical volume, which changes
// whenever LVM writes.
func metadataHeader() ([]byte, error) {
	const size = 4096
	f, err := os.OpenFile("/dev/vda", os.O_RDONLY|unix.O_DIRECT, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	room := make([]byte, 2*size)
	aligned := room[size-int(uintptr(unsafe.Pointer(&room[0]))%size):][:size] //nolint:gosec // O_DIRECT wants it aligned
	_, err = f.ReadAt(aligned, size)
	return aligned[:512], err
}

// rest lets some time pass, in which nobody can stop the program but by killing it.
func rest(d time.Duration) { <-time.After(d) }
