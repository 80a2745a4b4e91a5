package packages

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// serveSSH lets root log in by a key. The scripts of openssh-server have not run in the guest.
const serveSSH = `set -e
	grep -q ^sshd: /etc/passwd || echo 'sshd:x:107:65534::/run/sshd:/usr/sbin/nologin' >>/etc/passwd
	mkdir -p /run/sshd ~root/.ssh && chmod 700 ~root ~root/.ssh
	for key in /etc/ssh/host_key ~root/.ssh/id_ed25519; do ssh-keygen -q -t ed25519 -N '' -f $key; done
	cp ~root/.ssh/id_ed25519.pub ~root/.ssh/authorized_keys
	systemd-run --quiet --unit=sshd /usr/sbin/sshd -D -f /dev/null -o HostKey=/etc/ssh/host_key -o ListenAddress=127.0.0.1 -o Subsystem='sftp internal-sftp'
	for i in $(seq 100); do nc -z 127.0.0.1 22 && break; sleep 0.1; done`

var _ = DescribeTableSubtree("The Ansible role on", func(suite string) {
	It("installs the agent, and refuses mistakes before they do harm", func(ctx SpecContext) {
		deb, _ := built(ctx, "0.1.0")
		n := boot(ctx, suite, map[string]string{
			"volreconciler.deb": deb, "ansible": "deploy/ansible", "data.yaml": temporary("data.yaml", specs),
			"inventory": temporary("inventory", "[storage]\nguest ansible_host=127.0.0.1 ansible_user=root ansible_ssh_pipelining=true ansible_ssh_common_args='-o StrictHostKeyChecking=accept-new'\n"),
		})
		n.sh(ctx, serveSSH)
		// The controller is on the node itself.
		n.sh(ctx, `cp -r /host/ansible /srv/play && cd /srv/play && mkdir -p files specs/guest
			cp /host/volreconciler.deb files/ && cp /host/data.yaml specs/guest/`)
		const play = `cd /srv/play && LC_ALL=C.UTF-8 ansible-playbook -i /host/inventory -e '{"volreconciler_secrets": {"db": "123456789012"}}' playbook.yaml`

		By("playing it on a new node")
		Expect(n.sh(ctx, play)).To(MatchRegexp(`guest +: .*changed=[1-9].* failed=0`))
		Eventually(ctx, n.shown("StatusText")).Should(Equal(converged))
		n.exported(ctx)
		Expect(n.sh(ctx, "stat -c '%a %s' /etc/volreconciler/secrets/db; stat -c %a /etc/volreconciler/secrets; curl -sf localhost:9842/readyz >/dev/null && echo listens")).To(
			Equal("600 12\n700\nlistens"))

		By("playing it again, which changes nothing")
		before := n.shown("MainPID")(ctx)
		Expect(n.sh(ctx, play)).To(MatchRegexp(`guest +: .*changed=0 .* failed=0`))
		Expect(n.shown("MainPID")(ctx)).To(Equal(before))

		By("playing a mistake in the specs, and one in the settings")
		inUse := n.sh(ctx, "cat /etc/volreconciler/specs/* /etc/volreconciler/config.yaml")
		n.sh(ctx, "cd /srv/play && sed -i s/64Mi/64Foo/ specs/guest/data.yaml")
		Expect(n.sh(ctx, "! { "+play+"; }")).To(ContainSubstring("64Foo"))
		n.sh(ctx, "cd /srv/play && sed -i s/64Foo/64Mi/ specs/guest/data.yaml && sed -i s/listen:/lisden:/ playbook.yaml")
		Expect(n.sh(ctx, "! { "+play+" 2>&1; }")).To(ContainSubstring(`unknown setting \"lisden\"`))
		Expect(n.sh(ctx, "cat /etc/volreconciler/specs/* /etc/volreconciler/config.yaml")).To(Equal(inUse))
		Expect(n.shown("MainPID")(ctx)).To(Equal(before))

		By("playing a file with a mistake, and again when it is gone")
		n.sh(ctx, "cd /srv/play && sed -i s/lisden:/listen:/ playbook.yaml && echo 'kind: Nonsense' >specs/guest/more.yaml")
		Expect(n.sh(ctx, "! { "+play+"; }")).To(ContainSubstring("more.yaml"))
		n.sh(ctx, "rm /srv/play/specs/guest/more.yaml")
		Expect(n.sh(ctx, play)).To(MatchRegexp(`guest +: .*changed=0 .* failed=0`))
		Expect(n.sh(ctx, "cat /etc/volreconciler/specs/* /etc/volreconciler/config.yaml")).To(Equal(inUse))
	}, SpecTimeout(6*time.Minute))
}, suites)
