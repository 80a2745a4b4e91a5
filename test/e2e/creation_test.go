package e2e

import (
	"fmt"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("One hundred thin volumes, each with an export, again", func() {
	It("are created and restored in the time that LVM and configfs take", Label("bench"), func(ctx SpecContext) {
		const rounds = 3 // the median of which is free of what the host did meanwhile
		sh(ctx, "modprobe -a target_core_mod target_core_iblock iscsi_target_mod dm-thin-pool")
		exported := func() {
			GinkgoHelper()
			Expect(sh(ctx, "cat /sys/kernel/config/target/iscsi/*/tpgt_1/enable | grep -c 1")).To(Equal(strconv.Itoa(hundred)))
		}
		down := func() { sh(ctx, resetLIO+"\nlvchange -an vg0; udevadm settle") }
		times := map[string][]float64{}
		measure := func(what, script string) {
			GinkgoHelper()
			times[what] = append(times[what], seconds(ctx, script))
			exported()
		}
		for range rounds {
			hundredVolumes(ctx)
			measure("agent", "volreconciler apply --specs /specs")
			down()
			measure("restoring agent", "volreconciler apply --specs /specs")
			reset(ctx)
			measure("floor", createPool+inShell(creations("-an")+activation)+exports)
			down()
			measure("restoring floor", inShell(activation)+exports)
			reset(ctx)
			measure("one by one", createPool+inShell(creations(""))+exports)
			reset(ctx)
		}
		m := func(what string) float64 { return median(times[what]) }
		fmt.Printf("\n%s\n", ground(ctx))
		fmt.Printf("create-100 ratio=%.2f agent=%.1fs floor=%.1fs one-by-one=%.1fs\n", m("agent")/m("floor"), m("agent"), m("floor"), m("one by one"))
		fmt.Printf("restore-100 ratio=%.2f agent=%.1fs floor=%.1fs\n", m("restoring agent")/m("restoring floor"), m("restoring agent"), m("restoring floor"))
	}, NodeTimeout(limit))
})

const createPool = "set -e\nlvcreate -qq -y --type thin-pool -L 1G -Zy -n pool0 vg0 --addtag volreconciler/kind=pool --addtag volreconciler/name=fast\n"

// inShell gives commands to one lvm shell.
func inShell(commands string) string { return "lvm <<'EOF'\n" + commands + "EOF\n" }

// creations are commands that create all volumes.
func creations(option string) string {
	var b strings.Builder
	for i := range hundred {
		fmt.Fprintf(&b, "lvcreate -y %s -V 64M -T vg0/pool0 -n v%02d --addtag volreconciler/kind=volume --addtag volreconciler/name=v%02d --addtag volreconciler/deletion=retain\n", option, i, i)
	}
	return b.String()
}

// activation activates all volumes with as few commands as a shell takes.
var activation = func() string {
	var b strings.Builder
	for i := range hundred {
		if i%50 == 0 {
			b.WriteString("\nlvchange -ay -K")
		}
		fmt.Fprintf(&b, " vg0/v%02d", i)
	}
	return b.String()[1:] + "\n"
}()

// exports writes to configfs what the exports need, and nothing else.
const exports = `
T=/sys/kernel/config/target; I=` + dbHost + `
mkdir -p $T/core/iblock_0
i=0
while [ $i -lt 100 ]; do
	n=v$((i / 10))$((i % 10)); i=$((i+1))
` + exportByHand + `done`
