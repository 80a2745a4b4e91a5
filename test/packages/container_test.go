package packages

import (
	"os"
	"regexp"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// mounted are the mounts that the manual tells users to give a container: source, target, option.
var mounted = regexp.MustCompile("`-v (/[^:` ]+):(/[^:` ]+)(:ro)?`")

// container makes a root with the programs of the node, /proc and /sys, as an image and a runtime do, and
// runs the agent in it, in namespaces of its own but for network, IPC and processes. It is exec all the
// way, so that the agent gets the signal. $MOUNTS are lines of source, target and option.
const container = `set -eu
root=/run/container
mkdir -p $root && mount -t tmpfs container $root && cd $root
mkdir -p usr proc sys tmp var/tmp run etc dev opt
for link in bin sbin lib lib64; do ln -s usr/$link $link; done
cp /etc/passwd /etc/group /etc/nsswitch.conf /etc/ld.so.cache etc/
cp /run/image/usr/sbin/volreconciler opt/
mount --bind -o ro /usr usr
mount -t proc proc proc
mount -t sysfs sysfs sys
echo "$MOUNTS" | while read -r from to option; do
	if [ -e "$from" ] && [ ! -d "$from" ]; then : >"./$to"; else mkdir -p "$from" "./$to"; fi
	mount --rbind "$from" "./$to"
	[ -z "$option" ] || mount -o remount,bind,ro "./$to"
done
mkdir old && pivot_root . old && cd / && umount -l old
exec env - PATH=/usr/sbin:/usr/bin /opt/volreconciler run
`

var _ = Describe("A container", func() {
	It("runs the agent with what the manual mounts", func(ctx SpecContext) {
		manual, err := os.ReadFile("../../docs/installing.md")
		Expect(err).NotTo(HaveOccurred())
		var mounts []string
		for _, found := range mounted.FindAllStringSubmatch(string(manual), -1) {
			mounts = append(mounts, strings.TrimSpace(strings.Join(found[1:], " ")))
		}
		Expect(len(mounts)).To(BeNumerically(">=", 9))

		deb, _ := built(ctx, "0.1.0")
		n := boot(ctx, "trixie", map[string]string{"volreconciler.deb": deb, "data.yaml": temporary("data.yaml", thinSpecs), "container.sh": temporary("container.sh", container)})
		n.sh(ctx, `dpkg-deb -x /host/volreconciler.deb /run/image && install -D /host/data.yaml /etc/volreconciler/specs/data.yaml
			install -d -m 700 /var/lib/volreconciler /run/volreconciler
			systemctl start dm-event.socket lvm2-lvmpolld.socket`)
		n.sh(ctx, "systemd-run --quiet --unit=container -p KillMode=mixed -E MOUNTS='"+strings.Join(mounts, "\n")+
			"' unshare --mount --uts --cgroup --propagation private sh /host/container.sh")

		By("waiting on the node for the agent in the container")
		n.sh(ctx, "for i in $(seq 100); do [ -S /run/volreconciler/agent.sock ] && break; sleep 0.1; done; /run/image/usr/sbin/volreconciler wait --timeout 1m")
		n.exported(ctx)
		Expect(n.sh(ctx, "readlink /proc/$(systemctl show -P MainPID container)/exe")).To(Equal("/opt/volreconciler"))
		Expect(n.sh(ctx, "cat /proc/$(pgrep -x dmeventd)/cgroup")).To(ContainSubstring("dm-event.service"), "the container has a dmeventd of its own")

		Expect(n.sh(ctx, "lvs --noheadings -o seg_monitor vg0 | grep -c '^ *monitored'")).To(Equal("1"))
		n.sh(ctx, "[ -d $(cat /sys/kernel/config/target/dbroot)/pr ]") // the kernel keeps reservations there

		By("starting a second agent, and stopping the container")
		Expect(n.sh(ctx, "! timeout 20 /run/image/usr/sbin/volreconciler run 2>&1")).To(ContainSubstring("another"))
		n.sh(ctx, "timeout 60 systemctl stop container")
		Expect(n.sh(ctx, "systemctl show -P Result container; journalctl --no-pager -o cat -u container | grep -cx '.*INFO *stopped'")).To(Equal("success\n1"))
		n.exported(ctx)
	}, SpecTimeout(4*time.Minute))
})
