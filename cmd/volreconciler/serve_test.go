package main

import (
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
)

var _ = DescribeTable("Listening to everybody is warned of",
	func(address, webConfig string, warned int) {
		s := newSettings()
		var err error
		s.runtimeDir, err = os.MkdirTemp("", "") // a socket's path must be short
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(os.RemoveAll, s.runtimeDir)
		if webConfig != "" {
			s.webConfig = filepath.Join(s.runtimeDir, "web.yaml")
			Expect(os.WriteFile(s.webConfig, []byte(webConfig), 0o600)).To(Succeed())
		}
		said := &transcript{}
		log, err := newLogger(said, "info", "text")
		Expect(err).NotTo(HaveOccurred())
		s.listen = address
		stop, warnings, err := serve(s, statusapi.Source{Status: &status.Board{}}, log)
		Expect(err).NotTo(HaveOccurred())
		defer stop()
		Expect(warnings).To(BeEmpty())
		Expect(strings.Count(said.String(), "warning: everybody who reaches ")).To(Equal(warned), said.String())
		if warned > 0 {
			Expect(said.String()).To(ContainSubstring("set web-config to a file with TLS and users"))
		}
	},
	Entry("on all addresses", ":0", "", 1),
	Entry("on all IPv4 addresses", "0.0.0.0:0", "", 1),
	Entry("not with users", ":0", "basic_auth_users: {u: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi}\n", 0),
	Entry("not on this machine alone", "127.0.0.1:0", "", 0),
	Entry("not by name", "localhost:0", "", 0),
)
