package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"

	"github.com/volreconciler/volreconciler/pkg/watch"
	"github.com/volreconciler/volreconciler/test/guest"
)

// watched is what a process in the guest reports of its machine.
type watched struct {
	mu     sync.Mutex
	rest   []byte
	events []watch.Event
	status map[watch.Source]watch.Status
}

// Write takes lines of test/e2e/internal/watching.
func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = append(w.rest, p...)
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		w.rest = rest
		var l struct {
			Event  *watch.Event
			Status []watch.Status
		}
		if err := json.Unmarshal(line, &l); err != nil {
			return 0, err
		}
		if l.Event != nil {
			w.events = append(w.events, *l.Event)
		}
		for _, s := range l.Status {
			w.status[s.Source] = s
		}
	}
}

func (w *watched) since(mark int) []watch.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]watch.Event{}, w.events[mark:]...)
}

func (w *watched) statusOf(source watch.Source) watch.Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status[source]
}

// after runs a script and waits for what it causes.
func (w *watched) after(ctx context.Context, script string, expected ...types.GomegaMatcher) {
	GinkgoHelper()
	mark := len(w.since(0))
	sh(ctx, "set -e; "+script)
	for _, e := range expected {
		Eventually(ctx, func() []watch.Event { return w.since(mark) }).WithTimeout(time.Minute).Should(ContainElement(e), script)
	}
}

// quiet runs a script that must cause nothing: the next event is one of what is done then.
func (w *watched) quiet(ctx context.Context, script string) {
	GinkgoHelper()
	const last = "/sys/kernel/config/target/core/iblock_99"
	sh(ctx, "udevadm settle")
	w.after(ctx, "mkdir "+last, event(watch.Configfs, last))
	w.after(ctx, "rmdir "+last, event(watch.Configfs, last))
	mark := len(w.since(0))
	sh(ctx, script)
	sh(ctx, "mkdir "+last)
	Eventually(ctx, func() []watch.Event { return w.since(mark) }).ShouldNot(BeEmpty())
	Expect(w.since(mark)).To(HaveEach(event(watch.Configfs, last)), script)
	w.after(ctx, "rmdir "+last, event(watch.Configfs, last))
}

func event(source watch.Source, path string) types.GomegaMatcher {
	return And(HaveField("Source", source), HaveField("Path", path))
}

// by matches an event of a process with a name.
func by(source watch.Source, path, command string) types.GomegaMatcher {
	return And(event(source, path), HaveField("By", HaveValue(And(HaveField("Command", command),
		HaveField("UID", 0), HaveField("User", "root"), HaveField("Own", false)))))
}

// watching starts a process that watches, before some words, with the device nodes of physical
// volumes. It ends with the spec.
func watching(ctx context.Context, before []string, nodes ...string) *watched {
	GinkgoHelper()
	build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(machine.Share, "watching"), "./internal/watching")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
	sh(ctx, "cp /host/watching /usr/local/bin/watching; modprobe -q target_core_mod; mkdir -p /sys/kernel/config/target/iscsi")

	w := &watched{status: map[watch.Source]watch.Status{}}
	background, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = vm.Exec(background, guest.Command{Argv: append(append(before, "/usr/local/bin/watching"), nodes...), Stdout: w, Stderr: GinkgoWriter})
	}()
	DeferCleanup(func(ctx SpecContext) {
		_ = try(ctx, "pkill -9 -x watching")
		cancel()
		<-ended
		if CurrentSpecReport().Failed() {
			lines, _ := json.MarshalIndent(w.since(0), "", " ")
			AddReportEntry("events", string(lines))
		}
	}, NodeTimeout(limit))
	Eventually(ctx, func() watch.Status { return w.statusOf(watch.Configfs) }).Should(HaveField("Source", watch.Configfs))
	for _, node := range nodes {
		Eventually(ctx, func() []watch.Event { return w.since(0) }).Should(ContainElement(event(watch.Metadata, node)))
	}
	return w
}

// lives ends a script whose process is to be asked who it is before it is gone.
const lives = "; sleep 1"

const (
	coreDirectory = "/sys/kernel/config/target/core"
	aTarget       = "/sys/kernel/config/target/iscsi/iqn.2003-01.org.example:a"
	aPortalGroup  = aTarget + "/tpgt_1"
)

// makeTarget makes an enabled backstore, and a target with a LUN and an initiator.
const makeTarget = `
	lvcreate -qq -y -n data -L 16m vg0
	mkdir -p ` + coreDirectory + `/iblock_0/data; cd ` + coreDirectory + `/iblock_0/data
	echo udev_path=/dev/vg0/data > control; echo 1 > enable
	mkdir -p ` + aPortalGroup + `/lun/lun_0 ` + aPortalGroup + `/acls/iqn.1994-05.org.example:i/lun_0
	ln -s ` + coreDirectory + `/iblock_0/data ` + aPortalGroup + `/lun/lun_0/data
	ln -s ` + aPortalGroup + `/lun/lun_0 ` + aPortalGroup + `/acls/iqn.1994-05.org.example:i/lun_0/data
`

var _ = Describe("Watching the machine", func() {
	It("reports changes of targets and who wrote them, in any mount namespace", func(ctx SpecContext) {
		w := watching(ctx, nil, "/dev/vda")
		for _, source := range []watch.Source{watch.Configfs, watch.Metadata, watch.Devices} {
			Expect(w.statusOf(source)).To(Equal(watch.Status{Source: source, Watching: true}))
		}
		inotify := sh(ctx, "grep -h inotify /proc/$(pgrep -x watching)/fdinfo/* | wc -l")
		w.after(ctx, "lvcreate -qq -y -n data -L 16m vg0", event(watch.Devices, "/dev/dm-0"))
		w.after(ctx, "mkdir -p "+coreDirectory+"/iblock_0/data", event(watch.Configfs, coreDirectory+"/iblock_0"))

		By("also attributes that nobody can read")
		w.after(ctx, "echo udev_path=/dev/vg0/data > "+coreDirectory+"/iblock_0/data/control"+lives,
			by(watch.Configfs, coreDirectory+"/iblock_0/data/control", "sh"))
		w.after(ctx, "echo 1 > "+coreDirectory+"/iblock_0/data/enable"+lives,
			by(watch.Configfs, coreDirectory+"/iblock_0/data/enable", "sh"))

		w.after(ctx, "mkdir -p "+aPortalGroup+"/lun/lun_0", event(watch.Configfs, aTarget))
		w.after(ctx, "ln -s "+coreDirectory+"/iblock_0/data "+aPortalGroup+"/lun/lun_0/data", event(watch.Configfs, aPortalGroup+"/lun/lun_0/data"))
		w.after(ctx, "echo 1 > "+aPortalGroup+"/attrib/demo_mode_write_protect"+lives,
			by(watch.Configfs, aPortalGroup+"/attrib/demo_mode_write_protect", "sh"))

		By("through another mount, in another mount namespace, and in one that ends with the writer")
		w.after(ctx, "mkdir -p /tmp/other; mount -t configfs none /tmp/other; echo 1 > /tmp/other/target/iscsi/iqn.2003-01.org.example:a/tpgt_1/attrib/authentication; umount -l /tmp/other"+lives,
			by(watch.Configfs, aPortalGroup+"/attrib/authentication", "sh"))
		w.after(ctx, `unshare -m sh -c 'mount -t configfs none /tmp/other; cd /tmp/other/target/iscsi
			echo 0 > iqn.2003-01.org.example:a/tpgt_1/attrib/authentication; echo 1 > `+aPortalGroup+`/attrib/generate_node_acls; mkdir iqn.2003-01.org.example:b'`,
			And(event(watch.Configfs, aPortalGroup+"/attrib/authentication"), HaveField("By", Not(BeNil()))),
			event(watch.Configfs, aPortalGroup+"/attrib/generate_node_acls"),
			event(watch.Configfs, "/sys/kernel/config/target/iscsi/iqn.2003-01.org.example:b"))
		w.after(ctx, "mount --bind /sys/kernel/config/target/iscsi /tmp/other; cd /tmp/other/*:a; echo 0 > tpgt_1/attrib/generate_node_acls; cd /; umount -l /tmp/other"+lives,
			by(watch.Configfs, "", "sh"))

		By("not what is only read")
		w.quiet(ctx, "find /sys/kernel/config/target -type f -exec cat {} + >/dev/null 2>&1; ls -lR /sys/kernel/config >/dev/null")

		By("and what is removed, which is not watched any more")
		w.after(ctx, "rm "+aPortalGroup+"/lun/lun_0/data", event(watch.Configfs, aPortalGroup+"/lun/lun_0/data"))
		w.after(ctx, "cd "+aTarget+"; rmdir tpgt_1/lun/lun_0 tpgt_1 ../*:a ../*:b", event(watch.Configfs, aPortalGroup), event(watch.Configfs, aTarget))
		w.after(ctx, "rmdir "+coreDirectory+"/iblock_0/data "+coreDirectory+"/iblock_0", event(watch.Configfs, coreDirectory+"/iblock_0"))
		Eventually(ctx, func() string { return sh(ctx, "grep -h inotify /proc/$(pgrep -x watching)/fdinfo/* | wc -l") }).Should(Equal(inotify))
	}, NodeTimeout(limit))

	It("reports each commit of LVM's metadata, and devices, but not what LVM reads", func(ctx SpecContext) {
		w := watching(ctx, nil, "/dev/vda")
		device := sh(ctx, "readlink -f /dev/vda")
		other := sh(ctx, "readlink -f /dev/vdb")
		committed := event(watch.Metadata, "/dev/vda")
		for _, command := range []string{
			"lvcreate -qq -y -an -n a -L 16m vg0", "lvchange -qq --addtag x vg0/a", "lvrename -qq vg0/a vg0/b",
			"lvextend -qq -L +16m vg0/b", "lvchange -qq -pr vg0/b", "lvremove -qq -y vg0/b", "vgchange -qq --addtag x vg0",
		} {
			w.after(ctx, command+"; udevadm settle", And(committed, HaveField("By", Not(BeNil()))), event(watch.Devices, device))
		}
		w.after(ctx, "lvcreate -qq -y -n a -L 16m vg0; udevadm settle", committed, event(watch.Devices, "/dev/dm-0"))
		w.after(ctx, "lvextend -qq -L +16m vg0/a; udevadm settle", committed, event(watch.Devices, "/dev/dm-0"))
		w.after(ctx, "lvchange -an vg0/a; udevadm settle", event(watch.Devices, "/dev/dm-0"))
		w.after(ctx, "lvchange -ay vg0/a; udevadm settle", event(watch.Devices, "/dev/dm-0"))

		By("by a process that lives longer, which is named")
		w.after(ctx, "(echo lvchange --addtag y vg0/a; sleep 2) | lvm; udevadm settle", And(by(watch.Metadata, "/dev/vda", "lvm"), HaveField("By.Parents", ContainElement("sh"))))

		w.quiet(ctx, "lvs -a -o +tags; vgs; pvs; lvm fullreport; lvm fullreport --reportformat json; dmsetup status; pvck /dev/vda; udevadm settle")

		By("a physical volume that is made is a device that changed")
		w.after(ctx, "pvcreate -qq /dev/vdb", event(watch.Devices, other))
	}, NodeTimeout(limit))

	It("says that anything may have changed when events were lost", func(ctx SpecContext) {
		sh(ctx, "sysctl -qw fs.fanotify.max_queued_events=16 fs.inotify.max_queued_events=16")
		w := watching(ctx, nil, "/dev/vda")
		sh(ctx, "sysctl -qw fs.fanotify.max_queued_events=16384 fs.inotify.max_queued_events=16384")
		sh(ctx, "set -e; "+makeTarget)
		Eventually(ctx, func() []watch.Event { return w.since(0) }).Should(ContainElement(event(watch.Configfs, aTarget)))

		By("written")
		mark := len(w.since(0))
		sh(ctx, `pkill -STOP -x watching; cd `+aPortalGroup+`/attrib
			for i in *; do x=$(cat $i) && echo "$x" > $i; done; cd ../param; for i in *; do x=$(cat $i) && echo "$x" > $i; done
			pkill -CONT -x watching`)
		lost := And(event(watch.Configfs, ""), HaveField("By", BeNil()))
		Eventually(ctx, func() []watch.Event { return w.since(mark) }).WithTimeout(time.Minute).Should(ContainElement(lost))

		By("made")
		mark = len(w.since(0))
		sh(ctx, `pkill -STOP -x watching; cd `+aPortalGroup+`/lun
			for i in $(seq 30); do mkdir lun_$i; done; pkill -CONT -x watching`)
		Eventually(ctx, func() []watch.Event { return w.since(mark) }).WithTimeout(time.Minute).Should(ContainElement(lost))

		By("and directories that were made then are watched")
		w.after(ctx, "ln -s "+coreDirectory+"/iblock_0/data "+aPortalGroup+"/lun/lun_30/data", event(watch.Configfs, aPortalGroup+"/lun/lun_30/data"))
	}, NodeTimeout(limit))

	It("says what it cannot know in a container", func(ctx SpecContext) {
		w := watching(ctx, []string{"setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"}, "/dev/vda")
		for _, source := range []watch.Source{watch.Configfs, watch.Metadata} {
			Eventually(ctx, func() watch.Status { return w.statusOf(source) }).WithTimeout(time.Minute).Should(Equal(watch.Status{
				Source: source, Watching: true, Why: "who changed it is unknown: fanotify needs CAP_SYS_ADMIN",
			}))
		}
		sh(ctx, "set -e; "+makeTarget)
		w.after(ctx, "echo 1 > "+aPortalGroup+"/attrib/authentication", event(watch.Configfs, aPortalGroup+"/attrib/authentication"))
		w.after(ctx, "lvchange -qq --addtag x vg0/data; udevadm settle", event(watch.Metadata, "/dev/vda"))
		w.quiet(ctx, "find /sys/kernel/config/target -type f -exec cat {} + >/dev/null 2>&1; lvs; udevadm settle")
		sh(ctx, "pkill -9 -x watching")

		By("in a network namespace devices are reported")
		w = watching(ctx, []string{"unshare", "-n"})
		w.after(ctx, "lvcreate -qq -y -n other -L 16m vg0; udevadm settle", event(watch.Devices, "/dev/dm-1"))
		sh(ctx, "pkill -9 -x watching")

		By("in a user namespace they are not")
		w = watching(ctx, []string{"unshare", "-Urn"})
		Eventually(ctx, func() watch.Status { return w.statusOf(watch.Devices) }).WithTimeout(time.Minute).Should(And(
			HaveField("Watching", false), HaveField("Why", ContainSubstring("user namespace"))))
	}, NodeTimeout(limit))
})
