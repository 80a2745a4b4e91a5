package packages

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/test/guest"
)

// suites are the user spaces of Debian in which packages are installed.
var suites = []TableEntry{Entry("Debian 12", "bookworm"), Entry("Debian 13", "trixie")}

// node is a guest with systemd, and with a volume group vg0 in which somebody else has a volume.
type node struct{ vm *guest.Machine }

// boot starts a node, where the files are in /host under their names.
func boot(ctx context.Context, suite string, files map[string]string) *node {
	GinkgoHelper()
	share, disks := GinkgoT().TempDir(), GinkgoT().TempDir()
	for name, path := range files {
		output(ctx, nil, "cp", "-r", path, filepath.Join(share, name))
	}
	vm, err := guest.Start(ctx, guest.Config{
		Suite: guest.Suite(suite), Systemd: true, KeepRoot: true, Share: share,
		Disks: []guest.Disk{{Path: filepath.Join(disks, "vda"), Size: 512 << 20}, {Path: filepath.Join(disks, "root"), Size: 1 << 30}},
	})
	Expect(err).NotTo(HaveOccurred())
	n := &node{vm}
	DeferCleanup(func() { n.vm.PowerCut() })
	DeferCleanup(func(ctx SpecContext) {
		if CurrentSpecReport().Failed() {
			result, err := n.vm.Sh(ctx, "systemctl status --no-pager -l volreconciler; journalctl --no-pager -n 60; volreconciler get")
			GinkgoWriter.Println(result.Stdout, err)
		}
	}, NodeTimeout(time.Minute))
	n.sh(ctx, `mkdir -p /var/log/journal && journalctl --flush
		vgcreate -qq vg0 /dev/vda && lvcreate -qq -y -L 8M -n theirs vg0`)
	return n
}

// sh runs a script that must succeed, and returns what it prints.
func (n *node) sh(ctx context.Context, script string) string {
	GinkgoHelper()
	result, err := n.vm.Sh(ctx, script)
	Expect(err).NotTo(HaveOccurred())
	Expect(result.ExitCode).To(BeZero(), "%s\n%s%s", script, result.Stdout, result.Stderr)
	return strings.TrimSpace(result.Stdout)
}

// shown is a property of the service.
func (n *node) shown(property string) func(context.Context) string {
	return func(ctx context.Context) string { return n.sh(ctx, "systemctl show -P "+property+" volreconciler") }
}

// exported expects the volume and the export of the specs, and the volume of somebody else.
func (n *node) exported(ctx context.Context) {
	GinkgoHelper()
	n.sh(ctx, "[ -e /dev/vg0/data ] && [ -e /dev/vg0/theirs ] && [ $(cat /sys/kernel/config/target/iscsi/"+target+"/tpgt_1/enable) = 1 ]")
}

// temporary writes a file of the host.
func temporary(name, text string) string {
	GinkgoHelper()
	path := filepath.Join(GinkgoT().TempDir(), name)
	Expect(os.WriteFile(path, []byte(text), 0o644)).To(Succeed())
	return path
}
