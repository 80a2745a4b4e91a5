package packages

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// Debian's rpm runs the scripts of the .rpm against a real systemd. It knows nothing of Debian's packages,
// hence --nodeps.
var _ = Describe("The .rpm on a node with systemd", func() {
	It("is installed, upgraded and erased; settings, specs and exports stay", func(ctx SpecContext) {
		_, older := built(ctx, "0.1.0")
		_, newer := built(ctx, "0.2.0")
		n := boot(ctx, "trixie", map[string]string{"older.rpm": older, "newer.rpm": newer})

		By("installing it, which leaves the start to the administrator")
		n.sh(ctx, "rpm -i --nodeps /host/older.rpm && rpm -V --nodeps volreconciler")
		Expect(n.sh(ctx, "cd /etc/volreconciler && stat -c '%a %U %n' . * /usr/sbin/volreconciler")).To(Equal(
			"755 root .\n640 root config.yaml\n700 root secrets\n755 root specs\n755 root /usr/sbin/volreconciler"))
		// Debian's preset enables all, Fedora's nothing.
		Expect(n.sh(ctx, "systemctl is-enabled volreconciler; systemctl is-active volreconciler || true")).To(Equal("enabled\ninactive"))
		n.sh(ctx, "systemctl enable --now volreconciler && cat >/etc/volreconciler/specs/data.yaml <<'END'\n"+specs+"END\n")
		Eventually(ctx, n.shown("StatusText")).Should(Equal(converged))

		By("upgrading it")
		before := n.shown("MainPID")(ctx)
		n.sh(ctx, "echo 'log-level: debug' >>/etc/volreconciler/config.yaml && rpm -U --nodeps /host/newer.rpm")
		Eventually(ctx, n.shown("ActiveState")).Should(Equal("active"))
		Expect(n.shown("MainPID")(ctx)).NotTo(Equal(before))
		Expect(n.sh(ctx, "volreconciler version; tail -1 /etc/volreconciler/config.yaml")).To(MatchRegexp(`v0\.2\.0 .*\nlog-level: debug$`))
		Expect(n.shown("StatusText")(ctx)).To(Equal(converged))
		Expect(n.sh(ctx, "systemctl is-enabled volreconciler; rpm -q volreconciler")).To(Equal("enabled\nvolreconciler-0.2.0-1.x86_64"))

		By("erasing it")
		n.sh(ctx, "rpm -e --nodeps volreconciler")
		n.exported(ctx)
		Expect(n.sh(ctx, "! pgrep -x volreconciler; ! systemctl is-enabled volreconciler 2>/dev/null")).To(BeElementOf("not-found", ""))
		Expect(strings.Fields(n.sh(ctx, "find / -xdev -path '*volreconciler*' -type f -not -path '*/last-good/*' | sort"))).To(Equal([]string{
			"/etc/volreconciler/config.yaml.rpmsave", "/etc/volreconciler/specs/data.yaml",
			"/var/lib/volreconciler/identities.json", "/var/lib/volreconciler/installation.json",
		}))
	}, SpecTimeout(4*time.Minute))
})
