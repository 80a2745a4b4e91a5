package main

import (
	"os"
	"path/filepath"
	"strings"

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
		Entry("no such file", func(s *settings) { s.discoveryFile = "/nonexistent/x" }, "discovery-password-file: it does not name an existing file: no such file"),
		Entry("the password itself", func(s *settings) { s.discoveryFile = "/secretsecret1" }, "discovery-password-file: it does not name an existing file"),
		Entry("the password itself, with slashes", func(s *settings) { s.discoveryFile = "/dev/null/secretsecret1" }, "not a directory"),
		Entry("the password itself, and long", func(s *settings) { s.discoveryFile = "/" + strings.Repeat("secretsecret1", 30) }, "name too long"),
		Entry("half mutual", func(s *settings) { s.discoveryMutualUser = "t" }, "discovery-mutual-password-file is required; set it to a file with the password"),
		Entry("twice the same", func(s *settings) { s.discoveryMutualUser, s.discoveryMutualFile = "t", s.discoveryFile }, "the two must differ"),
	)
})

var _ = It("A password in the place of image-ca-file is not repeated", func() {
	s := newSettings()
	s.data.imageCAFile = "/secretsecret1"
	_, err := newDataActuator(s, &backend{}, nil)
	Expect(err).To(MatchError(And(HavePrefix("image-ca-file: it does not name an existing file"), Not(ContainSubstring("secretsecret")))))
})
