package e2e

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// byHand is a target as an administrator makes it with targetcli: mutual CHAP, a LUN on RAID, a second
// initiator that sees one LUN of three, and not to write.
const byHand = "iqn.2003-01.org.example:shop"

const makeByHand = `set -e
	lvcreate -qq -y -Wy -Zy -n Shop.Data -L 64m vg0
	lvcreate -qq -y --type thin-pool -Zy -n tp -L 200m vg0; lvcreate -qq -y -V 100m --thinpool tp -n logs vg0
	lvcreate -qq -y -Wy -Zy -n spare -L 16m vg0; lvcreate -qq -y -s -L 16m -n before vg0/spare; lvcreate -qq -y -n plain -L 16m vg0
	lvcreate -qq -y -kn -s -n logs.old vg0/logs; lvcreate -qq -y -s -n logs.skipped vg0/logs
	lvcreate -qq -y -Wy -Zy -n off -L 16m vg0; lvchange -qq -an vg0/off
	lvcreate -qq -y --type raid1 -m 1 -L 32m -n mirrored vg1; lvcreate -qq -y --type mirror -m 1 --mirrorlog core -L 16m -n oldmirror vg1
	lvcreate -qq -y -i 2 -L 16m -n striped vg1; for i in $(seq 12); do lvcreate -qq -y -Wy -Zy -n more_$i -L 4m vg0; done
	truncate -s 8M /tmp/file0
	cat > /tmp/by-hand <<'END'
/backstores/block create disk0 /dev/vg0/Shop.Data
/backstores/block create disk1 /dev/vg0/logs
/backstores/block create disk2 /dev/vg1/mirrored
/backstores/fileio create file0 /tmp/file0
/iscsi create ` + byHand + `
/iscsi/` + byHand + `/tpg1/portals create 127.0.0.1 3261
/iscsi/` + byHand + `/tpg1/luns create /backstores/block/disk0
/iscsi/` + byHand + `/tpg1/luns create /backstores/block/disk1 lun=5
/iscsi/` + byHand + `/tpg1/luns create /backstores/block/disk2 lun=9
/iscsi/` + byHand + `/tpg1/acls create ` + dbHost + `
/iscsi/` + byHand + `/tpg1/acls/` + dbHost + ` set auth userid=shop password=first-password mutual_userid=node mutual_password=second-password
/iscsi/` + byHand + `/tpg1/acls create ` + mailHost + ` add_mapped_luns=false
/iscsi/` + byHand + `/tpg1/acls/` + mailHost + ` create mapped_lun=5 tpg_lun_or_backstore=5 write_protect=1
/iscsi/` + byHand + `/tpg1/acls/` + mailHost + ` set auth userid=mail password=third-password
/iscsi/` + byHand + `/tpg1 set attribute authentication=1 default_cmdsn_depth=32
/iscsi create iqn.2003-01.org.example:files
/iscsi/iqn.2003-01.org.example:files/tpg1/luns create /backstores/fileio/file0
saveconfig /tmp/before.json
END
	targetcli < /tmp/by-hand >/dev/null
	modprobe -aq nvmet nvmet-tcp || true; cd /sys/kernel/config/nvmet 2>/dev/null || exit 0; n=subsystems/nqn.2014-08.org.example:hand
	mkdir $n $n/namespaces/1; echo -n /dev/vg0/plain > $n/namespaces/1/device_path; echo 1 > $n/namespaces/1/enable; echo 1 > $n/attr_allow_any_host`

// madeByHand is all of it in configfs, without the places of our marks.
const madeByHand = `cd /sys/kernel/config; { find target nvmet -not -path '*statistics*' -printf '%p %l\n'
	find target/iscsi/*/tpgt_1 target/core/*/* nvmet/subsystems -type f -not -path '*statistics*' -not -name alias -not -path '*tpgt_1/auth/userid_mutual' -not -path '*/acls/*/info' |
		xargs grep -sH .; } | sort`

// knownLVs are all logical volumes without their tags: how they are built, and which are active.
const knownLVs = "lvs -a --noheadings -o vg_name,lv_name,lv_size,lv_layout,lv_active,lv_skip_activation,devices"

// knownDisks is what an initiator knows its disks by, with their sessions and LUN numbers. The names of the
// kernel follow from the order in which it finished with them.
const knownDisks = `for d in /sys/block/sd*/device; do l=$(readlink -f $d)
	echo $(echo $l | grep -o 'session[0-9]*') LUN ${l##*:} $(cat $d/wwid $d/model) $(sg_inq -p 0x80 --raw /dev/$(basename ${d%/device}) | tr -d '\0' | tr -cd 'A-Za-z0-9-')
	done | sort; ls /dev/disk/by-id | grep -e scsi -e wwn`

var _ = Describe("What targetcli made is imported", func() {
	It("and adopted under a writing session, with the same disks now and after a reboot", func(ctx SpecContext) {
		secondGroup(ctx)
		sh(ctx, makeByHand)
		DeferCleanup(func(ctx SpecContext) {
			kill(ctx)
			try(ctx, "touch /tmp/stop; iscsiadm -m node -u; targetcli clearconfig confirm=True; rm -f /etc/target/saveconfig.json /etc/rtslib-fb-target/saveconfig.json /tmp/stop /tmp/failed")
		}, NodeTimeout(limit))
		settings := append(chap("shop", "first-password"), mutualCHAP("node", "second-password")...)
		connect := func(ctx context.Context) {
			GinkgoHelper()
			Expect(login(ctx, byHand, "127.0.0.1:3260", dbHost, settings...).ExitCode).To(BeZero())
			sh(ctx, "for i in $(seq 100); do [ $(ls -d /sys/block/sd* 2>/dev/null | wc -l) = 3 ] && break; sleep 0.1; done; udevadm settle")
		}
		connect(ctx)
		disks, made, lvs := sh(ctx, knownDisks), sh(ctx, madeByHand), sh(ctx, knownLVs)
		disk0 := func() string {
			return sh(ctx, "for d in /sys/block/sd*/device; do case $(readlink -f $d) in *:0) d=${d%/device}; echo /dev/${d##*/}; esac; done")
		}
		first, raid := disk0(), sh(ctx, `for d in /sys/block/sd*/device; do case $(readlink -f $d) in *:9) d=${d%/device}; echo /dev/${d##*/}; esac; done`)
		fill(ctx, first, "first", 16)
		data := content(ctx, first, 16)
		sh(ctx, `rm -f /tmp/stop /tmp/failed; (while [ ! -e /tmp/stop ]; do
			for d in `+first+` `+raid+`; do dd if=/dev/zero of=$d bs=64k count=16 seek=256 oflag=direct conv=notrunc || touch /tmp/failed; done; done) >/dev/null 2>&1 &`)
		dmesg := sh(ctx, "dmesg | wc -l")

		By("importing")
		r := try(ctx, "volreconciler import -o /specs/imported --exports")
		Expect(r.ExitCode).To(Equal(3), r.Stdout+r.Stderr)
		Expect(r.Stdout).To(And(
			ContainSubstring("Wrote 3 Pools, 20 Volumes and 1 Export to /specs/imported."), ContainSubstring("Passwords: 3 files"),
			ContainSubstring("fileio"), ContainSubstring("vg0/before: it is a thick snapshot of spare"),
			MatchRegexp(`vg0/off.*it is inactive.*lvchange -ay vg0/off`), MatchRegexp(`vg0/logs.skipped.*it is inactive.*lvchange -ay -K`),
		))
		if try(ctx, "ls /sys/kernel/config/nvmet").ExitCode == 0 {
			Expect(r.Stdout).To(ContainSubstring("NVMe subsystem nqn.2014-08.org.example:hand"))
		}
		Expect(sh(ctx, "stat -c '%a %n' /specs/imported/secrets/* | sed 's,/.*/,,'; cat /specs/imported/secrets/shop-*")).To(Equal(
			"600 shop-0\n600 shop-0-mutual\n600 shop-1\nfirst-password\nsecond-password\nthird-password"))
		Expect(sh(ctx, "grep -r -e first-password -e second-password -e third-password /specs/imported -l | grep -v /secrets/; true")).To(BeEmpty())
		Expect(try(ctx, "volreconciler import -o /specs/imported").Stderr).To(ContainSubstring("is not empty"))
		Expect(sh(ctx, madeByHand)).To(Equal(made), "import changes nothing")
		Expect(try(ctx, "volreconciler plan --specs /specs/imported | grep '^    ' | grep -vE '~ (set tags|adopt (backstore|target)) '").Stdout).To(BeEmpty())

		By("adopting")
		agent()
		allReady(ctx, 24)
		Expect(sh(ctx, madeByHand)).To(Equal(made))
		Expect(sh(ctx, knownDisks)).To(Equal(disks))
		Expect(sh(ctx, "cat /sys/kernel/config/target/iscsi/"+byHand+"/tpgt_1/auth/userid_mutual /sys/kernel/config/target/core/iblock_*/disk*/alias")).To(Equal(
			"volreconciler:shop\nvolreconciler:volume:shop-data\nvolreconciler:volume:logs\nvolreconciler:volume:mirrored"))
		Expect(sh(ctx, knownLVs)).To(Equal(lvs))
		Expect(sh(ctx, "touch /tmp/stop; sleep 1; ls /tmp/failed 2>/dev/null; dmesg | tail -n +$(("+dmesg+"+1)) | grep -i -e iscsi -e 'sd ' -e error; true")).To(BeEmpty())
		Expect(content(ctx, first, 16)).To(Equal(data))
		Expect(statusOf(ctx, "Export/shop").Export.Sessions).To(ConsistOf(dbHost))
		Expect(sh(ctx, "targetcli ls | grep -c disk0")).NotTo(Equal("0"))

		By("losing configfs, as in a reboot without targetcli's service")
		kill(ctx)
		logout(ctx, byHand, dbHost)
		sh(ctx, "targetcli clearconfig confirm=True >/dev/null")
		agent()
		allReady(ctx, 24)
		connect(ctx)
		again := sh(ctx, knownDisks)
		Expect(sessionless(again)).To(Equal(sessionless(disks)))
		Expect(content(ctx, disk0(), 16)).To(Equal(data))
		Expect(login(ctx, byHand, "127.0.0.1:3260", mailHost, chap("mail", "wrong-password1")...).ExitCode).NotTo(BeZero())
		Expect(login(ctx, byHand, "127.0.0.1:3260", mailHost, chap("mail", "third-password")...).ExitCode).To(BeZero())

		By("losing configfs, and targetcli's service restoring what was saved before an initiator was dismissed")
		kill(ctx)
		logout(ctx, byHand, mailHost)
		logout(ctx, byHand, dbHost)
		sh(ctx, `sed -i '/name: `+mailHost+`/,/^  attributes:/{/^  attributes:/!d}' /specs/imported/exports.yaml
			targetcli clearconfig confirm=True >/dev/null; targetcli restoreconfig /tmp/before.json >/dev/null`)
		Expect(login(ctx, byHand, "127.0.0.1:3260", mailHost, chap("mail", "third-password")...).ExitCode).To(BeZero())
		logout(ctx, byHand, mailHost)
		connect(ctx)
		agent()
		allReady(ctx, 24)
		sh(ctx, "[ ! -e /sys/kernel/config/target/iscsi/"+byHand+"/tpgt_1/acls/"+mailHost+" ]")
		Expect(login(ctx, byHand, "127.0.0.1:3260", mailHost, chap("mail", "third-password")...).ExitCode).NotTo(BeZero())
		Expect(sessionless(sh(ctx, knownDisks))).To(Equal(sessionless(disks)))
		Expect(content(ctx, disk0(), 16)).To(Equal(data))

		By("restoring what targetcli saved since, with the marks of targets alone")
		kill(ctx)
		logout(ctx, byHand, dbHost)
		sh(ctx, "targetcli saveconfig /tmp/since.json >/dev/null; targetcli clearconfig confirm=True >/dev/null; targetcli restoreconfig /tmp/since.json >/dev/null")
		connect(ctx)
		agent()
		allReady(ctx, 24)
		Expect(sessionless(sh(ctx, knownDisks))).To(Equal(sessionless(disks)))
		Expect(content(ctx, disk0(), 16)).To(Equal(data))
		Expect(sh(ctx, knownLVs)).To(Equal(lvs))

		By("refusing another serial while it is exported")
		sh(ctx, "sed -i '/serial:/s/: /: 0f/' /specs/imported/volumes-vg0.yaml")
		eventually(ctx, "Volume/logs", beIn(status.Blocked, status.ReasonImmutableField))
	}, NodeTimeout(limit))

	It("beside one targetcli ls, for three hundred", Label("bench"), func(ctx SpecContext) {
		sh(ctx, `set -e
			for i in $(seq 300); do echo "lvcreate -y -Wn -Zn -n v$i -L 4m vg0"; done | lvm >/dev/null
			modprobe -a target_core_mod target_core_iblock iscsi_target_mod; T=/sys/kernel/config/target; mkdir -p $T/iscsi; cd $T
			for i in $(seq 300); do
				D=$T/core/iblock_$i/disk$i; mkdir -p $D; echo udev_path=/dev/vg0/v$i > $D/control; echo /dev/vg0/v$i > $D/udev_path
				read S < /proc/sys/kernel/random/uuid; echo $S > $D/wwn/vpd_unit_serial; echo disk$i > $D/wwn/product_id; echo 1 > $D/enable
				P=$T/iscsi/iqn.2003-01.org.example:t$i/tpgt_1; mkdir -p $P $P/np/0.0.0.0:3260 $P/lun/lun_0; ln -s $D $P/lun/lun_0/dev
				echo 0 > $P/attrib/authentication; mkdir $P/acls/`+dbHost+` $P/acls/`+dbHost+`/lun_0; ln -s $P/lun/lun_0 $P/acls/`+dbHost+`/lun_0/dev; echo 1 > $P/enable
			done`)
		var imports, lists []float64
		for i := range 3 {
			imports = append(imports, seconds(ctx, fmt.Sprintf("volreconciler import -o /tmp/imported-%d --exports", i)))
			lists = append(lists, seconds(ctx, "targetcli ls"))
		}
		Expect(sh(ctx, "grep -c '^kind: Export' /tmp/imported-0/exports.yaml; rm -r /tmp/imported-*")).To(Equal("300"))
		fmt.Printf("\n%s\nimport-300 ratio=%.3f import=%.2fs targetcli-ls=%.2fs\n", ground(ctx), median(imports)/median(lists), median(imports), median(lists))
	}, NodeTimeout(limit))
})

// sessionless is what an initiator knows its disks by, without the number of the session.
func sessionless(known string) string {
	var lines []string
	for line := range strings.SplitSeq(known, "\n") {
		if _, after, found := strings.Cut(line, " LUN "); found {
			line = after
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}
