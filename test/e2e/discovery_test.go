package e2e

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// discover asks the node for its targets, and returns whether it told them.
func discover(ctx context.Context, settings ...string) bool {
	GinkgoHelper()
	// By the default interface: others, which a login leaves, have initiator names of
	// their own, and discovery is by one of these then.
	const db = "iscsiadm -m discoverydb -t st -I default -p " + loopback
	script := "rm -rf " + iscsiRecords + "/send_targets; " + db + " -o new >/dev/null"
	for i := 0; i+1 < len(settings); i += 2 {
		script += fmt.Sprintf(" && %s -o update -n discovery.sendtargets.%s -v '%s'", db, settings[i], settings[i+1])
	}
	r := try(ctx, script+" && "+db+" --discover")
	return r.ExitCode == 0
}

var _ = It("Discovery tells the targets to who knows the password", func(ctx SpecContext) {
	secret(ctx, "discovery", "open-sesame-please")
	secret(ctx, "discovery-back", "here-is-the-cave")
	// Only who is listed in a target is told of it.
	self := sh(ctx, "sed -n s/InitiatorName=//p /etc/iscsi/initiatorname.iscsi")
	specs(ctx, "all.yaml", thinPool, volume("data", "fast", "16Mi", ""), strings.Replace(export("data", "{volume: data}"), dbHost, self, 1))
	log := agent("--discovery-username=ali", "--discovery-password-file=/etc/volreconciler/secrets/discovery",
		"--discovery-mutual-username=cave", "--discovery-mutual-password-file=/etc/volreconciler/secrets/discovery-back")
	allReady(ctx, 3)
	chap := []string{"auth.authmethod", "CHAP", "auth.username", "ali", "auth.password"}
	with := func(more ...string) []string { return append(append([]string{}, chap...), more...) }

	Expect(discover(ctx)).To(BeFalse(), "without a password")
	Expect(discover(ctx, with("open-sesame-wrong")...)).To(BeFalse(), "with a wrong one")
	Expect(discover(ctx, with("open-sesame-please")...)).To(BeTrue())
	Expect(discover(ctx, with("open-sesame-please", "auth.username_in", "cave", "auth.password_in", "here-is-the-cave")...)).To(BeTrue(), "both ways")
	Expect(discover(ctx, with("open-sesame-please", "auth.username_in", "cave", "auth.password_in", "here-is-no-cave")...)).To(BeFalse(), "both ways, and the node is another")

	By("which changes without a restart")
	secret(ctx, "discovery", "sesame-is-closed")
	passes(ctx, 2)
	Expect(discover(ctx, with("open-sesame-please")...)).To(BeFalse())
	Expect(discover(ctx, with("sesame-is-closed")...)).To(BeTrue())
	Expect(string(log.Contents())).NotTo(Or(ContainSubstring("sesame"), ContainSubstring("here-is-the-cave")))
	sh(ctx, "echo 0 > /sys/kernel/config/target/iscsi/discovery_auth/enforce_discovery_auth; rm -rf "+iscsiRecords+"/send_targets "+iscsiRecords+"/nodes")
}, NodeTimeout(limit))
