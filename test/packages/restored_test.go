package packages

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// What targetcli made and saved, its service enabled, before the agent came: guest and dismissed may use
// the target.
const (
	handMade      = "iqn.2003-01.org.example:shop"
	dismissed     = "iqn.1993-08.org.debian:dismissed"
	admittedSince = "iqn.1993-08.org.debian:since"
	makeByHand    = `set -e
	lvcreate -qq -y -Wy -Zy -n shop -L 16M vg0; lvcreate -qq -y -Wy -Zy -n shop2 -L 16M vg0
	mkdir -p /etc/rtslib-fb-target /run/dbus; pgrep -x dbus-daemon >/dev/null || dbus-daemon --system --fork
	targetcli >/dev/null <<'END'
/backstores/block create shop /dev/vg0/shop
/backstores/block create shop2 /dev/vg0/shop2
/iscsi create ` + handMade + `
/iscsi/` + handMade + `/tpg1/luns create /backstores/block/shop
/iscsi/` + handMade + `/tpg1/luns create /backstores/block/shop2 lun=3
/iscsi/` + handMade + `/tpg1/acls create iqn.1993-08.org.debian:guest
/iscsi/` + handMade + `/tpg1/acls create ` + dismissed + `
saveconfig
END
	systemctl enable --quiet rtslib-fb-targetctl`
	// changeSince dismisses an initiator, and adds another one and a LUN.
	changeSince = `f=/etc/volreconciler/specs/imported/exports.yaml
		sed -i 's/name: ` + dismissed + `/name: ` + admittedSince + `/; s/^  initiators:/    - {volume: theirs, lun: 4}\n&/' $f`
	// admitted are the targets, and for each the initiators that it admits and the volumes that it shows.
	admitted = `cd /sys/kernel/config/target/iscsi && for t in iqn*; do
		echo $t $(cat $t/tpgt_1/enable) $(ls $t/tpgt_1/acls) $(cat $t/tpgt_1/lun/lun_*/*/udev_path); done`
	// logInAs tries whether an initiator gets in.
	logInAs = `i="iscsiadm -m iface -I other"; $i -o new && $i -o update -n iface.initiatorname -v ` + dismissed + ` &&
		n="iscsiadm -m node -T ` + handMade + ` -p 127.0.0.1:3260 -I other"; $n -o new && $n --login; r=$?; $n -u; [ $r = 0 ]`
)

var _ = Describe("A boot at which targetcli's service restores what it saved before the agent came", func() {
	It("ends with what is declared: no dismissed initiator, and the exports made since", func(ctx SpecContext) {
		deb, _ := built(ctx, "0.1.0")
		n := boot(ctx, "trixie", map[string]string{"volreconciler.deb": deb})
		n.sh(ctx, makeByHand)
		n.sh(ctx, logInAs)

		By("adopting it, dismissing an initiator, and making another export")
		n.sh(ctx, "volreconciler() { /run/image/usr/sbin/volreconciler \"$@\"; }; dpkg-deb -x /host/volreconciler.deb /run/image; volreconciler import -o /etc/volreconciler/specs/imported --exports")
		n.sh(ctx, "dpkg -i /host/volreconciler.deb")
		Eventually(ctx, n.shown("StatusText")).Should(Equal("5 objects: 5 Ready"))
		n.sh(ctx, changeSince)
		_, later, _ := strings.Cut(strings.NewReplacer("pool: main", "pool: vg0", "  portals: [\"127.0.0.1:3260\"]\n", "").Replace(specs), "---\n") // without the Pool
		n.sh(ctx, "cat >/etc/volreconciler/specs/data.yaml <<'END'\n"+later+"END\n")
		Eventually(ctx, n.shown("StatusText")).Should(Equal("7 objects: 7 Ready"))
		want := handMade + " 1 iqn.1993-08.org.debian:guest " + admittedSince + " /dev/vg0/shop /dev/vg0/shop2 /dev/vg0/theirs\n" + target + " 1 iqn.1993-08.org.debian:guest /dev/vg0/data"
		Expect(n.sh(ctx, admitted)).To(Equal(want))

		By("booting again, when a volume is inactive until the agent starts")
		n.sh(ctx, "lvchange -qq --setautoactivation n vg0/shop2")
		var err error
		n.vm, err = n.vm.Reboot(ctx)
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, n.shown("StatusText")).Should(Equal("7 objects: 7 Ready"))
		Expect(n.sh(ctx, admitted)).To(Equal(want))
		Expect(n.sh(ctx, "systemctl is-active rtslib-fb-targetctl; ! ( "+logInAs+" ) 2>&1")).To(And(HavePrefix("active\n"), ContainSubstring("authorization")))
		log := n.sh(ctx, "journalctl -b --no-pager -o cat -u volreconciler")
		for _, done := range []string{"adopted target", "removed initiator " + dismissed, "added LUN 3 to", "added LUN 4 to", "admitted initiator " + admittedSince} {
			Expect(log).To(ContainSubstring(done), "the service restored something else than was saved")
		}
	}, SpecTimeout(5*time.Minute))
})
