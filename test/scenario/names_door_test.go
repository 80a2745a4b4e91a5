package scenario_test

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
)

// door checks every call of the agent to the machine.
type door struct {
	mu    sync.Mutex
	calls int
	wrong []string
	// images are the files that the specs name: images, and their checksums. A user may
	// put them anywhere.
	images []string
}

// The options that the agent gives to commands, with the form of their values;
// nil: none. Whatever else begins with a hyphen came from somewhere else.
var (
	nameWord = regexp.MustCompile(`^[A-Za-z0-9_+.][A-Za-z0-9_+.-]*(/[A-Za-z0-9_+.][A-Za-z0-9_+.-]*)?$`)
	ownTag   = regexp.MustCompile(`^volreconciler/(kind=(pool|volume|snapshot|source)|for=image|deletion=(retain|delete)|name=[a-z0-9]([a-z0-9-]*[a-z0-9])?|product=[a-z0-9-]{1,16}|serial=[A-Za-z0-9_+.=!:&#-]{1,253}|by=[0-9a-f]{16}:[A-Za-z0-9._-]{1,64}|` +
		`phase=(populating|reverting|clearing|staged)|(identity|replaced-by)=[A-Za-z0-9-]{38}|source=(volume|snapshot|image):[a-z0-9.-]+|checkpoint=[A-Za-z0-9-]+:[0-9]+|created=[0-9]{8}T[0-9]{6}Z|revert(ed)?=[A-Za-z0-9_.-]{1,63})$`)
	bytes   = regexp.MustCompile(`^[0-9]+b?$`)
	columns = regexp.MustCompile(`^[a-z_,]+$`)
	options = map[string]*regexp.Regexp{
		"-y": nil, "-Wy": nil, "-Zy": nil, "-kn": nil, "-s": nil, "-K": nil, "--splitsnapshot": nil, "--nosuffix": nil, "-o-all": nil,
		"-n": regexp.MustCompile(`^[A-Za-z0-9_+.][A-Za-z0-9_+.-]*$`), "-T": nameWord, "-ay": nil, "-an": nil,
		"--addtag": ownTag, "--deltag": ownTag, "-L": bytes, "-V": bytes, "-o": columns, "--units": regexp.MustCompile(`^b$`),
		"--type": regexp.MustCompile(`^thin-pool$`), "--reportformat": regexp.MustCompile(`^json$`), "--configreport": regexp.MustCompile(`^(vg|lv|pv|pvseg|seg)$`),
		"-S": regexp.MustCompile(`^(lv_uuid=[A-Za-z0-9-]{38}( && (lv_tags=volreconciler/[a-z-]+=[A-Za-z0-9:._-]+|!\(lv_[a-z_]+=[a-z]+\)|lv_attr!~\^O))*|vg_name=[A-Za-z0-9_+.-]+ && lv_name=[A-Za-z0-9_+.-]+)$`), "--config": regexp.MustCompile(`^global/wait_for_locks=0$`),
	}
	commands = []string{"lvm", "lvs", "lvcreate", "lvconvert", "lvchange", "lvextend", "lvremove", "lvrename", "modprobe"}
	// writable is where configfs is changed, and what names may be there.
	writable = regexp.MustCompile(`^/etc/target(/pr|/alua)?$|^/sys/kernel/config/target/(dbroot|` +
		`iscsi|iscsi/iqn\.[a-z0-9.:-]{1,219}(/tpgt_1(/(enable|attrib/[a-z_]+|param/[A-Za-z]+|auth/userid_mutual|np/[0-9a-f.:\[\]]+|lun/lun_[0-9]+(/[a-z_]+)?|` +
		`acls/(iqn|eui|naa)\.[a-z0-9.:-]{1,219}(/(attrib|auth)/[a-z_]+|/lun_[0-9]+(/[a-z_]+)?)?))?)?|` +
		`core/iblock_[0-9]+(/volreconciler:(volume|snapshot):[a-z0-9-]{1,63}(/(control|enable|udev_path|wwn/(vpd_unit_serial|product_id)|attrib/[a-z_]+))?)?)$`)
	// restic is how it is started where there are no backups: nothing that a file says is an argument.
	restic   = regexp.MustCompile(`^(readrestic snapshots --json|restic init)( --tag volreconciler)?( --no-cache)?( --no-lock)?$`)
	device   = regexp.MustCompile(`^/dev/[A-Za-z0-9_+.-]+/[A-Za-z0-9_+.-]+$`)
	readable = regexp.MustCompile(`^(/sys/kernel/config/target(/.*)?|/sys/(block|dev|module|fs|class|kernel)(/.*)?|/proc(/.*)?|/dev(/.*)?|` +
		`/etc/(rtslib-fb-)?target(/(pr(/aptpl_[A-Za-z0-9_+.=!:&#-]{1,253})?|alua))?|/var/target/pr)$`)
)

func (d *door) before(c fakehost.Call) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	wrong := func(why string) { d.wrong = append(d.wrong, fmt.Sprintf("%s: %q", why, c)) }
	if line := c.String(); c.Op == "readrestic" || c.Argv != nil && c.Argv[0] == "restic" {
		if !restic.MatchString(line) {
			wrong("a start of restic")
		}
		return nil
	}
	if c.Argv != nil {
		if why := strayWord(c.Argv); why != "" {
			wrong(why)
		}
		return nil
	}
	for _, p := range []string{c.Path, c.Target} {
		if p == "" || !c.Changes() && d.isAtImage(p) {
			continue
		}
		if c.Op == "create" && slices.Contains(d.images, p) {
			continue
		}
		if path.Clean(p) != p || slices.Contains(strings.Split(p, "/"), "..") || strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r > '~' }) {
			wrong("a path that is not clean")
		}
		if c.Op == "writeblocks" && device.MatchString(p) {
			continue
		}
		if c.Changes() && !writable.MatchString(p) || !c.Changes() && !readable.MatchString(p) {
			wrong("a path that leads elsewhere")
		}
	}
	if strings.ContainsAny(strings.TrimSuffix(string(c.Data), "\n"), "\x00\n\r") || len(c.Data) > 255 {
		wrong("a value of more than a line")
	}
	return nil
}

// isAtImage reports whether a path is that of an image, or of the directory that it is to
// be in.
func (d *door) isAtImage(p string) bool {
	return slices.ContainsFunc(d.images, func(image string) bool { return p == image || p == path.Dir(image)+"/." })
}

// strayWord says what is in a command line that is not the agent's own.
func strayWord(argv []string) string {
	if !slices.Contains(commands, argv[0]) {
		return "a command"
	}
	for i := 1; i < len(argv); i++ {
		form, known := options[argv[i]]
		switch {
		case known && form == nil:
		case known:
			i++
			if i == len(argv) || !form.MatchString(argv[i]) {
				return "the value of " + argv[i-1]
			}
		case !nameWord.MatchString(argv[i]):
			return "the word " + argv[i]
		}
	}
	return ""
}
