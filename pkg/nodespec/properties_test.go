package nodespec_test

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/actuators/lvm"
	"github.com/volreconciler/volreconciler/pkg/actuators/target/lio"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/nodespec"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const guest, other = "iqn.1993-08.org.debian:01:guest", "iqn.1991-05.com.microsoft:other"

// Whatever somebody made by hand: what import writes of it, applied by the agent's own actuators, changes
// nothing but tags and marks, and afterwards there is nothing to do. What is plain is written.
func TestPropertiesImportChangesNothing(t *testing.T) {
	root := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(root, "")
		check(t, err)
		n := newNode(t)
		before := n.seen()
		draft, declared := n.imported(filepath.Join(dir, "specs"))

		for _, name := range n.inactive {
			if i := slices.IndexFunc(draft.Omissions(), func(o nodespec.Omission) bool { return strings.Contains(o.What, "(vg0/"+name+")") }); i < 0 || !strings.Contains(draft.Omissions()[i].Why, "lvchange -ay") {
				t.Fatalf("%s is inactive, and not left out: %+v", name, draft.Omissions())
			}
		}
		p := plan.Make(n.input(declared, n.observe(true)))
		for _, s := range p.Steps {
			switch c := s.Change.(type) {
			case change.SetTags:
				check(t, lvm.New(fakehost.Shell{Runner: n.host}, n.host).Apply(context.Background(), c))
			case change.AdoptBackstore, change.AdoptTarget:
				check(t, lio.New(n.host).Apply(context.Background(), c))
			default:
				t.Fatalf("planned: %s", s.Change)
			}
		}
		if after := n.seen(); after != before {
			t.Fatalf("before:\n%s\nafter:\n%s", before, after)
		}
		observed := n.observe(false)
		if again := plan.Make(n.input(declared, observed)); !again.Empty() {
			t.Fatalf("still to do: %s (%s)", again.Steps[0].Change, again.Steps[0].Why)
		}
		for _, b := range observed.LIO.Backstores {
			if id, ours := b.Owner(); ours {
				if lv := lvOf(observed, id); lv.Serial() != b.Serial {
					t.Fatalf("%s has serial %s, and its tags say %s", b.Path(), b.Serial, lv.Serial())
				}
			}
		}
		for _, target := range n.plain {
			if !slices.ContainsFunc(draft.Written(), func(id spec.ID) bool {
				return id.Kind == spec.KindExport && declared.Exports[id.Name].Spec.Target == target
			}) {
				t.Fatalf("target %s is not written: %+v", target, draft.Omissions())
			}
		}
	})
}

func lvOf(state observe.State, id spec.ID) observe.LogicalVolume {
	for _, vg := range state.VolumeGroups {
		for _, lv := range vg.LogicalVolumes {
			if owner, owned := lv.Owner(); owned && owner == id {
				return lv
			}
		}
	}
	return observe.LogicalVolume{}
}

// node is a machine on which somebody made volumes and targets.
type node struct {
	t    *rapid.T
	host *fakehost.Host
	// plain are the targets that can be expressed, and inactive the logical volumes that are not.
	plain, inactive []string
}

func check(t *rapid.T, err error) {
	if err != nil {
		t.Helper()
		t.Fatal(err)
	}
}

func newNode(t *rapid.T) *node {
	n := &node{t: t}
	vg := fakehost.VolumeGroup{Name: "vg0", ExtentSize: 4 << 20, Extents: 1000}
	minor := 1
	add := func(lv fakehost.LogicalVolume) {
		if lv.Minor, lv.Active = minor, !slices.Contains(n.inactive, lv.Name); !lv.Active {
			lv.Minor = 0
		}
		minor++
		vg.LogicalVolumes = append(vg.LogicalVolumes, lv)
	}
	hasPool := rapid.Bool().Draw(t, "pool")
	if hasPool {
		add(fakehost.LogicalVolume{Name: "tp", Type: "thinPool", Size: 256 << 20})
	}
	var lvs []string
	for i := range rapid.IntRange(1, 5).Draw(t, "volumes") {
		lv := fakehost.LogicalVolume{Name: rapid.SampledFrom([]string{"db", "Mail", "web_1", "x.y+z"}).Draw(t, "name") + fmt.Sprint(i), Type: "thick", Size: uint64(i+1) * 4 << 20}
		if hasPool && rapid.Bool().Draw(t, "thin") {
			lv.Type, lv.Pool = "thin", "tp"
		} else {
			lv.Layout = rapid.SampledFrom([]string{"", "raid,raid1", "mirror", "striped"}).Draw(t, "layout")
		}
		add(lv)
		lvs = append(lvs, lv.Name)
	}
	if rapid.Bool().Draw(t, "snapshot") && vg.LogicalVolumes[len(vg.LogicalVolumes)-1].Type == "thick" {
		add(fakehost.LogicalVolume{Name: "snap", Type: "thickSnapshot", Origin: lvs[len(lvs)-1], Size: 4 << 20, COWSize: 4 << 20})
	}
	if rapid.Bool().Draw(t, "off") {
		n.inactive = append(n.inactive, "off")
		add(fakehost.LogicalVolume{Name: "off", Type: "thick", Size: 4 << 20})
	}
	if hasPool && rapid.Bool().Draw(t, "skipped") {
		n.inactive = append(n.inactive, "skipped")
		add(fakehost.LogicalVolume{Name: "skipped", Type: "thin", Pool: "tp", Size: 4 << 20, SkipActivation: true})
	}
	h, err := fakehost.New(fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{vg}, Modules: []string{"target_core_mod", "iscsi_target_mod", "target_core_iblock"}})
	check(t, err)
	n.host = h
	n.mkdir(observe.ISCSIDir)
	for i, lv := range lvs {
		n.backstore(i, lv)
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "targets") {
		n.target(i, len(lvs))
	}
	return n
}

func (n *node) write(file, text string) {
	n.t.Helper()
	check(n.t, n.host.WriteFile(file, []byte(text)))
}

func (n *node) mkdir(dirs ...string) {
	n.t.Helper()
	for _, dir := range dirs {
		check(n.t, n.host.Mkdir(dir))
	}
}

// backstore makes a backstore as targetcli does.
func (n *node) backstore(i int, lv string) {
	hba := fmt.Sprintf("iblock_%d", i)
	dir := observe.BackstoreDir(hba, "disk"+fmt.Sprint(i))
	n.mkdir(observe.HBADir(hba), dir)
	n.write(path.Join(dir, "control"), "udev_path=/dev/vg0/"+lv)
	n.write(path.Join(dir, "udev_path"), "/dev/vg0/"+lv)
	n.write(path.Join(dir, "wwn/vpd_unit_serial"), fmt.Sprintf(rapid.SampledFrom([]string{"%08x-4a5b-4c6d-8e7f-001122334455", "SN-%d", "unit %d"}).Draw(n.t, "serial"), 0xa1000000+i*0x10001))
	n.write(path.Join(dir, "wwn/product_id"), rapid.SampledFrom([]string{"disk", "my disk", "IBLOCK"}).Draw(n.t, "product"))
	n.write(path.Join(dir, "enable"), "1")
	if rapid.IntRange(0, 3).Draw(n.t, "attribute") == 0 {
		n.write(path.Join(dir, "attrib/emulate_caw"), "0")
	}
}

// target makes a target that serves some of the backstores, with what administrators change.
func (n *node) target(i, backstores int) {
	dir := observe.ISCSITarget(fmt.Sprintf("iqn.2003-01.org.example:t%d", i))
	n.mkdir(dir.Path, dir.TPG())
	portal := path.Join(dir.Portals(), rapid.SampledFrom([]string{"0.0.0.0:3260", "192.0.2.1:3261"}).Draw(n.t, "portal"))
	n.mkdir(portal)
	n.write(dir.Enable(), "1")
	plain, caw := true, map[string]bool{}
	draw := func(what string, in int) bool { return rapid.IntRange(0, in-1).Draw(n.t, what) == 0 }
	shown := map[int]int{}
	for b := range backstores {
		if !draw("lun", 2) {
			continue
		}
		lun := b * rapid.SampledFrom([]int{1, 7}).Draw(n.t, "number")
		if _, taken := shown[lun]; taken {
			continue
		}
		shown[lun] = b
		store := observe.BackstoreDir(fmt.Sprintf("iblock_%d", b), "disk"+fmt.Sprint(b))
		n.mkdir(dir.LUN(lun))
		check(n.t, n.host.Symlink(store, path.Join(dir.LUN(lun), "link")))
		serial, product := n.text(path.Join(store, "wwn/vpd_unit_serial")), n.text(path.Join(store, "wwn/product_id"))
		plain = plain && !strings.Contains(serial, "unit ") && !strings.Contains(product, " ")
		caw[n.text(path.Join(store, "attrib/emulate_caw"))] = true
	}
	plain = plain && len(shown) > 0 && len(caw) == 1 && caw["1"]
	if draw("anyone", 4) {
		n.write(path.Join(dir.Attrib(), "generate_node_acls"), "1")
		n.write(path.Join(dir.Attrib(), "demo_mode_write_protect"), rapid.SampledFrom([]string{"0", "1"}).Draw(n.t, "protect"))
		n.write(path.Join(dir.Attrib(), "authentication"), "0")
	} else {
		chap := draw("chap", 2)
		if !chap {
			n.write(path.Join(dir.Attrib(), "authentication"), "0")
		}
		for _, initiator := range []string{guest, other} {
			plain = n.acl(dir, initiator, shown, chap) && plain
		}
	}
	if draw("group auth", 8) {
		n.write(path.Join(dir.TPG(), "auth/userid"), "all")
		plain = false
	}
	if draw("attribute", 3) {
		n.write(path.Join(dir.Attrib(), "default_cmdsn_depth"), "128")
	}
	if draw("disabled", 8) {
		n.write(dir.Enable(), "0")
		return
	}
	_ = n.host.Login(dir.Name, guest) // where it may
	if plain {
		n.plain = append(n.plain, dir.Name)
	}
}

// acl admits an initiator. It reports whether that can be expressed.
func (n *node) acl(dir observe.TargetDir, initiator string, shown map[int]int, chap bool) bool {
	plain, sees := true, 0
	n.mkdir(dir.ACL(initiator))
	if chap {
		n.write(path.Join(dir.ACL(initiator), "auth/userid"), "user")
		n.write(path.Join(dir.ACL(initiator), "auth/password"), "a-long-password")
		if rapid.Bool().Draw(n.t, "mutual") {
			n.write(path.Join(dir.ACL(initiator), "auth/userid_mutual"), "node")
			n.write(path.Join(dir.ACL(initiator), "auth/password_mutual"), "another-password")
		}
	}
	protect := rapid.SampledFrom([]string{"0", "1"}).Draw(n.t, "protect")
	for lun := range shown {
		if rapid.IntRange(0, 4).Draw(n.t, "hidden") == 0 {
			continue
		}
		as := lun
		if rapid.IntRange(0, 9).Draw(n.t, "renumbered") == 0 {
			as, plain = lun+100, false
		}
		mapped := dir.MappedLUN(initiator, as)
		n.mkdir(mapped)
		check(n.t, n.host.Symlink(dir.LUN(lun), path.Join(mapped, "link")))
		n.write(path.Join(mapped, "write_protect"), protect)
		sees++
	}
	return plain && sees > 0
}

func (n *node) text(file string) string {
	text, err := n.host.ReadFile(file)
	check(n.t, err)
	return strings.TrimSpace(string(text))
}

func (n *node) observe(all bool) observe.State {
	o := observe.New(n.host)
	if all {
		o.AdoptAll()
	}
	state := o.Observe(context.Background())
	check(n.t, state.Err())
	return state
}

func (n *node) input(declared spec.Set, observed observe.State) plan.Input {
	in := nodespec.Input(plan.Installation{Maker: ondisk.Maker{ID: "0123456789abcdef", Name: "node"}}, false, time.Now())
	in.Declared, in.Observed = declared, observed
	return in
}

// imported writes specs into a directory, and proves them.
func (n *node) imported(dir string) (*nodespec.Draft, spec.Set) {
	check(n.t, os.MkdirAll(filepath.Join(dir, "secrets"), 0o700))
	state := n.observe(true)
	draft := nodespec.Describe(nodespec.Request{State: state, Exports: true, SecretsDir: filepath.Join(dir, "secrets")})
	for file, password := range draft.Passwords() {
		check(n.t, os.WriteFile(file, []byte(password.Reveal()+"\n"), 0o600))
	}
	for range 20 {
		files, err := draft.Files()
		check(n.t, err)
		stale, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
		check(n.t, err)
		for _, file := range stale {
			check(n.t, os.Remove(file))
		}
		for name, text := range files {
			check(n.t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
		}
		declared := spec.NewSource(dir, spec.Options{Secrets: true, Settle: time.Microsecond, Log: logr.Discard()}).Load(context.Background())
		proven, err := draft.Prove(declared, n.input(declared, state))
		check(n.t, err)
		if proven {
			return draft, declared
		}
	}
	n.t.Fatal("never proven")
	return nil, spec.Set{}
}

// seen is all that initiators, LVM and administrators see, without what import is allowed to change: tags
// of LVM, the alias of a backstore, and the place of a target's mark.
func (n *node) seen() string {
	var out strings.Builder
	node := n.host.Node()
	for _, e := range node.ConfigFS {
		if base := path.Base(e.Path); base != "alias" && !strings.HasSuffix(e.Path, "tpgt_1/auth/userid_mutual") {
			text := ""
			if e.Text != nil {
				text = *e.Text
			}
			fmt.Fprintf(&out, "%s %q %s\n", e.Path, text, e.Link)
		}
	}
	for _, vg := range node.VolumeGroups {
		for _, lv := range vg.LogicalVolumes {
			lv.Tags = nil
			fmt.Fprintf(&out, "%+v\n", lv)
		}
	}
	return out.String()
}
