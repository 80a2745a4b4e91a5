package e2e

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// manyLogins logs in with libiscsi, which is QEMU's initiator, again and again, and returns how
// often that worked. The kernel counts logins with CHAP in the challenge, so that its answer
// becomes longer with the 11th and with the 101st.
func manyLogins(ctx context.Context, times int, url string) string {
	GinkgoHelper()
	return sh(ctx, fmt.Sprintf(`n=0; for i in $(seq %d); do
		iscsi-inq -i %s '%s' >/tmp/inquiry 2>&1 && n=$((n+1))
	done; echo $n; rm -f /tmp/inquiry`, times, dbHost, url))
}

var _ = Describe("libiscsi", func() {
	const (
		password, back = "correct-horse-battery", "staple-in-the-hay"
		longTarget     = "iqn.2003-01.org.example:"
	)
	var (
		name = strings.Repeat("n", 63)
		iqn  = longTarget + strings.Repeat("t", 180-len(longTarget))
	)
	one := func(name, target, initiator string) string {
		return fmt.Sprintf("kind: Export\nmetadata: {name: %s}\nspec:\n  protocol: iscsi\n  target: %s\n  portals: ['%s', '[::1]:3260']\n"+
			"  luns: [{volume: data}]\n  initiators: [{name: %q, %s}]", name, target, loopback, dbHost, initiator)
	}

	BeforeEach(func(ctx SpecContext) {
		secret(ctx, "logins", password)
		secret(ctx, "logins-back", back)
		chapOnly := "auth: {chap: {username: u, passwordFrom: {file: /etc/volreconciler/secrets/logins}}}"
		mutual := "auth: {chap: {username: u, passwordFrom: {file: /etc/volreconciler/secrets/logins}}, " +
			"mutual: {username: storage-node, passwordFrom: {file: /etc/volreconciler/secrets/logins-back}}}"
		specs(ctx, "all.yaml", thinPool, volume("data", "fast", "16Mi", ""),
			one(name, iqn, chapOnly), one("m", target("m"), mutual), one("open", target("open"), ""))
		agent()
		allReady(ctx, 5)
	}, NodeTimeout(limit))

	It("logs in as often as it likes", func(ctx SpecContext) {
		for _, portal := range []string{loopback, "[::1]:3260"} {
			for _, url := range []string{
				fmt.Sprintf("iscsi://u%%%s@%s/%s/0", password, portal, iqn),
				fmt.Sprintf("iscsi://u%%%s@%s/%s/0?target_user=storage-node&target_password=%s", password, portal, target("m"), back),
				fmt.Sprintf("iscsi://%s/%s/0", portal, target("open")),
			} {
				Expect(manyLogins(ctx, 30, url)).To(Equal("30"), url)
			}
		}
		Expect(manyLogins(ctx, 60, fmt.Sprintf("iscsi://u%%%s@%s/%s/0", password, loopback, iqn))).To(Equal("60"), "past the 101st")
		Expect(manyLogins(ctx, 1, fmt.Sprintf("iscsi://u%%wrong@%s/%s/0", loopback, iqn))).To(Equal("0"), "with a wrong password")
	}, NodeTimeout(limit))

	It("logs in to the target of an older agent, when its mark was moved under a live session", func(ctx SpecContext) {
		tpg := "/sys/kernel/config/target/iscsi/" + iqn + "/tpgt_1"
		Expect(login(ctx, iqn, loopback, dbHost, chap("u", password)...).ExitCode).To(BeZero())
		DeferCleanup(func(ctx SpecContext) { logout(ctx, iqn, dbHost) }, NodeTimeout(limit))
		session := "grep 'LIO Session ID' " + tpg + "/acls/" + dbHost + "/info"
		before := sh(ctx, session)

		// The agent must see the older one alone, or both, but never none.
		sh(ctx, fmt.Sprintf(`pkill -STOP -x volreconciler
			echo volreconciler:%s > %s/param/TargetAlias; echo NULL > %[2]s/auth/userid_mutual
			pkill -CONT -x volreconciler`, name, tpg))
		passes(ctx, 2)
		Expect(sh(ctx, "cat "+tpg+"/param/TargetAlias "+tpg+"/auth/userid_mutual")).To(Equal("LIO Target\nvolreconciler:" + name))
		Expect(sh(ctx, session)).To(Equal(before), "the session has ended")
		Expect(sh(ctx, "cat "+tpg+"/auth/authenticate_target")).To(Equal("0"), "sessions are authenticated in another way")
	}, NodeTimeout(limit))
})
