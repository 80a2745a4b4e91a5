package supportbundle_test

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/supportbundle"
)

// places are where a secret is found in what others write; %s is the secret.
var places = []string{
	"password=%s", "Password: %s", `{"password": "%s"}`, `{\"password\":\"%s\",\"x\":1}`, "auth_password='%s'", "export DB_PASSWORD=%s", "PGPASSWD=%s",
	"chap-secret = %s", "api_key: %s", "apiKey=%s", "token=%s", "x-token: %s", "PSK=%s", "private_key = \"%s\"", "Authorization: Basic %s",
	"got Bearer %s from", "Cookie: session=%s", "https://user:%s@example.org/a", "https://example.org/a?X-Signature=%s", "http://%s@h", "DHHC-1:00:%s:",
	"DHHC-1:01:%s", "iscsiadm -m node --op update -n node.session.auth.password -v %s", "tool --password %s --x", "tool --secret=%s", "tool -password %s",
	"$2y$10$%s", "user:$6$%s:1:", "$argon2id$v=19$%s", "AGE-SECRET-KEY-1%s", "-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n-----END OPENSSH PRIVATE KEY-----",
	"-----BEGIN PRIVATE KEY-----\n%s", "eyJhbGciOiJIUzI1NiJ9.%s", "passphrase: correct %s horse", "credentials=%s",
	"pass=%s", "pwd: %s", "\npassword: |\n  one\n  %s\n", "\n  secret: >-\n    %s", "curl -u admin:%s https://x", "incominguser iqn-user %s", "outgoinguser u %s",
}

var _ = Describe("A text that others wrote", func() {
	It("has no secret in any of the usual places", func() {
		const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		rapid.Check(GinkgoT(), func(t *rapid.T) {
			secret := rapid.StringOfN(rapid.RuneFrom([]rune(letters)), 12, 40, -1).Draw(t, "secret")
			var text strings.Builder
			for range rapid.IntRange(1, 4).Draw(t, "lines") {
				noise := rapid.StringMatching(`[a-z /.,()"']{0,12}`)
				place := rapid.SampledFrom(places).Draw(t, "place")
				fmt.Fprintf(&text, noise.Draw(t, "before")+" "+place+rapid.SampledFrom([]string{"", "\n", " "}).Draw(t, "end")+"\n", secret)
			}
			for _, redact := range []func(string) string{supportbundle.Text} {
				if out := redact(text.String()); strings.Contains(out, secret[:8]) {
					t.Fatalf("%q becomes %q", text.String(), out)
				}
			}
		})
	})

	It("keeps what a reader needs", func() {
		for _, text := range []string{
			"spec.initiators[0].auth.chap.passwordFrom.file: /etc/volreconciler/a does not exist\n",
			"discovery-password-file: /etc/volreconciler/discovery.secret\n",
			"Volume/db: Blocked (SessionsActive): iqn.1993-08.org.debian:01:abc is connected\n",
			"get https://example.org/a.qcow2: 404 Not Found\n",
			"naa.6001405a1b2c3d4e5f60718293a4b5c6 3f2504e0-4f89-11d3-9a0c-0305e82c3301\n",
			"set authentication of initiator iqn.a at b: CHAP (password differs)\n",
		} {
			Expect(supportbundle.Text(text)).To(Equal(text))
			Expect(supportbundle.Forms(text)).To(Equal(text))
		}
	})
})

var _ = DescribeTable("Of a mount", func(line, shown string) {
	Expect(supportbundle.Mounts(line + "\n")).To(Equal(shown + "\n"))
},
	Entry(nil, "/dev/mapper/vg0-root / ext4 rw,relatime,errors=remount-ro 0 0", "/dev/mapper/vg0-root / ext4 rw,relatime,errors=remount-ro 0 0"),
	Entry(nil, "//nas/share /mnt cifs rw,username=u,password=Zk4w,uid=0 0 0", "//nas/share /mnt cifs rw,username=<redacted>,password=<redacted>,uid=0 0 0"),
	Entry(nil, "https://u:Zk4w@dav.example.org/a /mnt fuse rw 0 0", "https://dav.example.org/a /mnt fuse rw 0 0"),
	Entry(nil, "u:Zk4w@host:/a /mnt fuse.sshfs rw 0 0", "<redacted>@host:/a /mnt fuse.sshfs rw 0 0"),
	Entry(nil, "1.2.3.4:6789:/ /mnt ceph rw,name=admin,secret=Zk4w,acl 0 0", "1.2.3.4:6789:/ /mnt ceph rw,name=<redacted>,secret=<redacted>,acl 0 0"),
)

var _ = DescribeTable("Of a table of device-mapper", func(line, shown string) {
	Expect(supportbundle.MapperTable(line + "\n")).To(Equal(shown + "\n"))
},
	Entry(nil, "vg0-db: 0 2097152 linear 254:0 2048", "vg0-db: 0 2097152 linear 254:0 2048"),
	Entry(nil, "vg0-pool0: 0 8192 thin-pool 254:1 254:2 128 0 0", "vg0-pool0: 0 8192 thin-pool 254:1 254:2 128 0 0"),
	Entry(nil, "luks: 0 2048 crypt aes-xts-plain64 5a6b7732 0 254:0 4096", "luks: 0 2048 crypt <redacted>"),
	Entry(nil, "int: 0 2048 integrity 254:0 0 32 J 1 internal_hash:hmac(sha256):5a6b7732", "int: 0 2048 integrity <redacted>"),
	Entry(nil, "linear: 0 2048 crypt linear 5a6b7732", "linear: 0 2048 crypt <redacted>"),
	Entry(nil, "5a6b7732", "<redacted>"),
)
