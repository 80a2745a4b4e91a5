package guest

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// targetModules are the modules that targets and initiators of every protocol
// need; some lie close to folders that a guest root leaves out.
var targetModules = []string{
	"iscsi_target_mod", "iscsi_tcp", "ib_isert", "ib_iser",
	"nvmet", "nvmet-tcp", "nvmet-rdma", "nvme-tcp", "nvme-rdma",
	"libfc", "libfcoe", "fcoe", "tcm_fc",
	"rdma_rxe", "veth",
}

var _ = DescribeTable("a guest root has the modules of every protocol, with all that they need",
	func(ctx SpecContext, kernel Kernel) {
		if os.Getenv("VOLRECONCILER_GUEST") == "" {
			Skip("may have to make a guest root: set VOLRECONCILER_GUEST=1 to run it")
		}
		if kernel == Backported && os.Getenv("VOLRECONCILER_GUEST") != "all" {
			Skip("has a guest root of its own: make test-more")
		}
		root, err := Root(ctx, kernel)
		Expect(err).NotTo(HaveOccurred())
		version, err := kernelVersion(root)
		Expect(err).NotTo(HaveOccurred())
		dir := filepath.Join(root, "lib/modules", version)
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
	Entry("with the release's kernel", Released, NodeTimeout(rootTimeout)),
	Entry("with the backported kernel", Backported, NodeTimeout(rootTimeout)),
)
