package lio

import (
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("the authentication of an initiator", func() {
	chap := change.Auth{Username: "alice", Password: spec.NewSecret("secret of alice")}
	mutual := change.Auth{
		Username: "alice", Password: spec.NewSecret("secret of alice"),
		MutualUsername: "target", MutualPassword: spec.NewSecret("secret of target"),
	}

	It("is asked for before the credentials are there, and clears those that are not wanted", func() {
		Expect(authWrites(chap)).To(HaveExactElements(
			aclWrite{"attrib/authentication", "1"},
			aclWrite{"auth/userid", "alice"},
			aclWrite{"auth/password", "secret of alice"},
			aclWrite{"auth/userid_mutual", "NULL"},
			aclWrite{"auth/password_mutual", "NULL"},
		))
	})

	It("goes both ways", func() {
		Expect(authWrites(mutual)).To(ContainElements(
			aclWrite{"auth/userid_mutual", "target"},
			aclWrite{"auth/password_mutual", "secret of target"},
		))
	})

	It("is no longer asked for before the credentials go", func() {
		writes := authWrites(change.Auth{})
		Expect(writes[0]).To(Equal(aclWrite{"attrib/authentication", "0"}))
		for _, w := range writes[1:] {
			Expect(w.value).To(Equal("NULL"))
		}
	})

	It("is written without a newline, which the kernel would keep", func() {
		for _, w := range slices.Concat(authWrites(mutual), authWrites(change.Auth{})) {
			Expect(w.value).NotTo(HaveSuffix("\n"))
		}
	})

	It("may be none", func() {
		Expect(checkCredentials(change.Auth{})).To(Succeed())
	})

	It("takes what the kernel takes", func() {
		Expect(checkCredentials(mutual)).To(Succeed())
		Expect(checkCredentials(change.Auth{Username: "u", Password: spec.NewSecret(strings.Repeat("x", 255))})).To(Succeed())
	})

	DescribeTable("refuses what the kernel would misunderstand, and does not tell it",
		func(password, why string) {
			oneWay := checkCredentials(change.Auth{Username: "u", Password: spec.NewSecret(password)})
			Expect(oneWay).To(MatchError("the password " + why))
			bothWays := chap
			bothWays.MutualUsername, bothWays.MutualPassword = "t", spec.NewSecret(password)
			Expect(checkCredentials(bothWays)).To(MatchError("the mutual password " + why))
		},
		Entry("nothing", "", "is empty"),
		Entry("the word for none", "NULL", "begins with NULL, which the kernel takes for none"),
		Entry("what begins with it", "NULLification", "begins with NULL, which the kernel takes for none"),
		Entry("too much", strings.Repeat("x", 256), "is longer than 255 bytes"),
		Entry("what ends early", "half\x00of it", "contains a NUL byte"),
	)
})

var _ = Describe("an initiator that is refused", func() {
	It("is asked for a password that nobody has", func() {
		Expect(authWrites(change.Auth{Refused: true})).To(HaveExactElements(
			aclWrite{"attrib/authentication", "1"},
			aclWrite{"auth/userid", "NULL"},
			aclWrite{"auth/password", "NULL"},
			aclWrite{"auth/userid_mutual", "NULL"},
			aclWrite{"auth/password_mutual", "NULL"},
		))
		Expect(checkCredentials(change.Auth{Refused: true})).To(Succeed())
	})
})
