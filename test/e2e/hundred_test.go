package e2e

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

const hundred = 100

// hundredVolumes writes the specs of one hundred thin volumes, each with an
// export of its own.
func hundredVolumes(ctx context.Context) {
	GinkgoHelper()
	specs(ctx, "pool.yaml", thinPool)
	var documents []string
	for i := range hundred {
		name := fmt.Sprintf("v%02d", i)
		documents = append(documents, volume(name, "fast", "64Mi", ""), export(name, "{volume: "+name+"}"))
	}
	specs(ctx, "all.yaml", documents...)
}

var _ = Describe("One hundred thin volumes, each with an export", func() {
	It("converge, and then cost one process a pass", func(ctx SpecContext) {
		hundredVolumes(ctx)
		agent()
		allReady(ctx, 1+2*hundred)
		Expect(sh(ctx, "cat /sys/kernel/config/target/iscsi/*/tpgt_1/enable | grep -c 1")).To(Equal(strconv.Itoa(hundred)))
		before := fingerprint(ctx)
		passes(ctx, 3)
		Expect(nodeStatus(ctx).LastPass.Processes).To(BeEquivalentTo(1))
		Expect(fingerprint(ctx)).To(Equal(before))
	}, NodeTimeout(limit))

	It("are made no slower than by a shell loop, and kept at the cost of one lvs", Label("bench"), func(ctx SpecContext) {
		hundredVolumes(ctx)
		sh(ctx, "modprobe -a target_core_mod target_core_iblock iscsi_target_mod dm-thin-pool")
		agentSeconds := seconds(ctx, "volreconciler apply --specs /specs")

		agent()
		allReady(ctx, 1+2*hundred)
		var idle, lvs []float64
		processes := int64(0)
		for range 7 {
			passes(ctx, 1)
			cost := nodeStatus(ctx).LastPass
			idle, processes = append(idle, cost.Seconds), max(processes, cost.Processes)
		}
		kill(ctx)
		for range 7 {
			lvs = append(lvs, seconds(ctx, "lvs"))
		}
		Expect(nodeStatus(ctx)).To(Equal(status.Report{}))
		reset(ctx)

		loopSeconds := seconds(ctx, shellLoop)
		Expect(sh(ctx, "cat /sys/kernel/config/target/iscsi/*/tpgt_1/enable | grep -c 1")).To(Equal(strconv.Itoa(hundred)))
		fmt.Printf("\n%s\n", ground(ctx))
		fmt.Printf("converge-100 ratio=%.2f agent=%.1fs loop=%.1fs\n", agentSeconds/loopSeconds, agentSeconds, loopSeconds)
		fmt.Printf("idle-100 ratio=%.2f processes=%d agent=%.3fs lvs=%.3fs\n", median(idle)/median(lvs), processes, median(idle), median(lvs))
	}, NodeTimeout(limit))
})

// exportByHand exports the logical volume $n to the initiator $I. It starts no process but those that
// make directories and links.
const exportByHand = `	D=$T/core/iblock_0/$n; mkdir $D
	echo udev_path=/dev/vg0/$n > $D/control; echo /dev/vg0/$n > $D/udev_path
	read S < /proc/sys/kernel/random/uuid; echo $S > $D/wwn/vpd_unit_serial; echo 1 > $D/enable; echo 1 > $D/attrib/emulate_tpu
	P=$T/iscsi/iqn.2026-11.io.volreconciler:$n/tpgt_1; mkdir -p $P
	echo volreconciler:$n > $P/auth/userid_mutual
	echo 1 > $P/attrib/authentication; echo 0 > $P/attrib/demo_mode_discovery
	mkdir $P/np/0.0.0.0:3260 $P/lun/lun_0; ln -s $D $P/lun/lun_0/dev
	mkdir $P/acls/$I; echo 0 > $P/acls/$I/attrib/authentication
	mkdir $P/acls/$I/lun_0; ln -s $P/lun/lun_0 $P/acls/$I/lun_0/dev
	echo 1 > $P/enable
`

// shellLoop makes the same end state in the way of a careful shell script.
const shellLoop = `set -e
lvcreate -qq -y --type thin-pool -L 1G -Zy -n pool0 vg0 --addtag volreconciler/kind=pool --addtag volreconciler/name=fast
T=/sys/kernel/config/target; I=` + dbHost + `
mkdir -p $T/core/iblock_0
i=0
while [ $i -lt 100 ]; do
	n=$(printf v%02d $i); i=$((i+1))
	lvcreate -qq -y -V 64M -T vg0/pool0 -n $n --addtag volreconciler/kind=volume --addtag volreconciler/name=$n --addtag volreconciler/deletion=retain
` + exportByHand + `done`

// seconds returns how long a script takes in the guest, by the guest's clock.
func seconds(ctx context.Context, script string) float64 {
	GinkgoHelper()
	out := sh(ctx, "read a rest < /proc/uptime\n( "+script+"\n) >/dev/null || exit\nread b rest < /proc/uptime\necho $a $b")
	ab := strings.Fields(out)
	a, err := strconv.ParseFloat(ab[0], 64)
	Expect(err).NotTo(HaveOccurred())
	b, err := strconv.ParseFloat(ab[1], 64)
	Expect(err).NotTo(HaveOccurred())
	return b - a
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
