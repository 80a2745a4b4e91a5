package debian

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// targetModules are the modules that targets and initiators of every protocol
// need; some lie close to folders that are left out.
var targetModules = []string{
	"iscsi_target_mod", "iscsi_tcp", "ib_isert", "ib_iser",
	"nvmet", "nvmet-tcp", "nvmet-rdma", "nvme-tcp", "nvme-rdma",
	"libfc", "libfcoe", "fcoe", "tcm_fc",
	"rdma_rxe", "veth",
	"dm-multipath", "dm-service-time", "scsi_dh_alua",
}

var _ = DescribeTable("an emulator's kernel has the modules of every protocol, with all that they need",
	func(ctx SpecContext, suite Suite) {
		if os.Getenv("VOLRECONCILER_GUEST") == "" {
			Skip("may have to fetch a kernel: set VOLRECONCILER_GUEST=1 to run it")
		}
		kernel, err := EmulatorKernel(ctx, suite)
		Expect(err).NotTo(HaveOccurred())
		dir := kernel.Modules()
		dep, err := os.Open(filepath.Join(dir, "modules.dep"))
		Expect(err).NotTo(HaveOccurred())
		defer func() { _ = dep.Close() }()
		deps, err := parseDependencies(dep)
		Expect(err).NotTo(HaveOccurred())
		for _, module := range targetModules {
			files := deps.order(module)
			Expect(files).NotTo(BeEmpty(), module)
			for _, file := range files {
				Expect(filepath.Join(dir, file)).To(BeARegularFile(), module)
			}
		}
	},
	Entry("of Debian 12", Bookworm, NodeTimeout(makeTimeout)),
	Entry("of Debian 13", Trixie, NodeTimeout(makeTimeout)),
)
