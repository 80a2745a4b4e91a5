package main

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("the settings of discovery", func() {
	file := func(password string) string {
		path := filepath.Join(GinkgoT().TempDir(), "password")
		Expect(os.WriteFile(path, []byte(password+"\n"), 0o600)).To(Succeed())
		return path
	}

	It("are none at first", func() {
		Expect(newSettings().discovery()).To(BeNil())
	})

	It("are read anew each time", func() {
		s := newSettings()
		s.discoveryUser, s.discoveryFile = "d", file("secretsecret1")
		Expect(s.discovery()).To(Equal(&change.Auth{Username: "d", Password: spec.NewSecret("secretsecret1")}))
		Expect(os.WriteFile(s.discoveryFile, []byte("secretsecret2\n"), 0o600)).To(Succeed())
		s.discoveryMutualUser, s.discoveryMutualFile = "t", file("secretsecret3")
		Expect(s.discovery()).To(Equal(&change.Auth{
			Username: "d", Password: spec.NewSecret("secretsecret2"), MutualUsername: "t", MutualPassword: spec.NewSecret("secretsecret3"),
		}))
	})

	DescribeTable("must be complete, and never show a password",
		func(set func(*settings), want string) {
			s := newSettings()
			s.discoveryUser, s.discoveryFile = "d", file("secretsecret1")
			set(s)
			auth, err := s.discovery()
			Expect(auth).To(BeNil())
			Expect(err).To(MatchError(ContainSubstring(want)))
			Expect(err.Error()).NotTo(ContainSubstring("secretsecret"))
		},
		Entry("no name", func(s *settings) { s.discoveryUser = "" }, "discovery-username is required with"),
		Entry("no file", func(s *settings) { s.discoveryFile = "" }, "discovery-password-file is required; set it to a file with the password"),
		Entry("no such file", func(s *settings) { s.discoveryFile = "/nonexistent/x" }, "discovery-password-file: "),
		Entry("half mutual", func(s *settings) { s.discoveryMutualUser = "t" }, "discovery-mutual-password-file is required; set it to a file with the password"),
		Entry("twice the same", func(s *settings) { s.discoveryMutualUser, s.discoveryMutualFile = "t", s.discoveryFile }, "the two must differ"),
	)
})
