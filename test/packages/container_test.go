package packages

import (
	"os"
	"regexp"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// option is an option that the manual tells users to give a container runtime.
var option = regexp.MustCompile("(?m)^\\| (`-.*?`) \\|")

// container makes a root with the programs of the node, as an image does. The guest's kernel has no
// controller of processes, and nobody answers on its D-Bus.
const container = `set -eu
mkdir -p /run/container && mount -t tmpfs container /run/container && cd /run/container
mkdir -p usr proc sys tmp var/tmp run etc dev opt
for link in bin sbin lib lib64; do ln -s usr/$link $link; done
cp /etc/passwd /etc/group /etc/nsswitch.conf /etc/ld.so.cache etc/
cp /run/image/usr/sbin/volreconciler opt/
mount --bind -o ro /usr usr
mkdir -p /etc/containers
printf '[storage]\ndriver = "vfs"\nrunroot = "/run/podman"\ngraphroot = "/run/podman/graph"\n' >/etc/containers/storage.conf
printf '[containers]\npids_limit = 0\nlog_driver = "k8s-file"\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n' >/etc/containers/containers.conf
`

var _ = Describe("A container", func() {
	It("runs the agent with what the manual mounts", func(ctx SpecContext) {
		manual, err := os.ReadFile("../../docs/installing.md")
		Expect(err).NotTo(HaveOccurred())
		var options []string
		for _, found := range option.FindAllStringSubmatch(string(manual), -1) {
			options = append(options, strings.NewReplacer("`", "", ",", "").Replace(found[1]))
		}
		Expect(len(options)).To(BeNumerically(">=", 16))

		deb, _ := built(ctx, "0.1.0")
		n := boot(ctx, "trixie", map[string]string{"volreconciler.deb": deb, "data.yaml": temporary("data.yaml", thinSpecs)})
		n.sh(ctx, `dpkg-deb -x /host/volreconciler.deb /run/image && install -D /host/data.yaml /etc/volreconciler/specs/data.yaml
			install -d -m 700 /var/lib/volreconciler /run/volreconciler
			mkdir -p /etc/target /run/lock/lvm
			systemctl start dm-event.socket lvm2-lvmpolld.socket`)
		n.sh(ctx, container)
		n.sh(ctx, "podman run -d --name agent "+strings.Join(options, " ")+" --rootfs /run/container /opt/volreconciler run")

		By("waiting on the node for the agent in the container")
		n.sh(ctx, "for i in $(seq 100); do [ -S /run/volreconciler/agent.sock ] && break; sleep 0.1; done; /run/image/usr/sbin/volreconciler wait --timeout 1m")
		n.exported(ctx)
		Expect(n.sh(ctx, "readlink /proc/$(podman inspect -f '{{.State.Pid}}' agent)/exe")).To(Equal("/opt/volreconciler"))
		Expect(n.sh(ctx, "cat /proc/$(pgrep -x dmeventd)/cgroup")).To(ContainSubstring("dm-event.service"), "the container has a dmeventd of its own")

		Expect(n.sh(ctx, "lvs --noheadings -o seg_monitor vg0 | grep -c '^ *monitored'")).To(Equal("1"))
		n.sh(ctx, "[ -d $(cat /sys/kernel/config/target/dbroot)/pr ]") // the kernel keeps reservations there

		By("starting a second agent, and stopping the container")
		Expect(n.sh(ctx, "! timeout 20 /run/image/usr/sbin/volreconciler run 2>&1")).To(ContainSubstring("another"))
		n.sh(ctx, "timeout 60 podman stop agent")
		Expect(n.sh(ctx, "podman inspect -f '{{.State.ExitCode}}' agent; podman logs agent 2>&1 | grep -cx '.*INFO *stopped'")).To(Equal("0\n1"))
		n.exported(ctx)
	}, SpecTimeout(4*time.Minute))
})
