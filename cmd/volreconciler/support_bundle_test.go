package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// unpacked returns the entries of a bundle, by their names in its directory.
func unpacked(file string) map[string]string {
	GinkgoHelper()
	f, err := os.Open(file)
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = f.Close() }()
	unzipped, err := gzip.NewReader(f)
	Expect(err).NotTo(HaveOccurred())
	found := map[string]string{}
	for r := tar.NewReader(unzipped); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		Expect(err).NotTo(HaveOccurred())
		data, err := io.ReadAll(r)
		Expect(err).NotTo(HaveOccurred())
		_, name, _ := strings.Cut(header.Name, "/")
		found[name] = string(data)
	}
}

// planted is a machine whose programs print secrets, as those of others may.
type planted struct {
	host.Host
	prints func(argv []string) string
	mounts string
}

func (p planted) Run(ctx context.Context, argv ...string) (host.Output, error) {
	if text := p.prints(argv); text != "" {
		return host.Output{Stdout: []byte(text)}, nil
	}
	return p.Host.Run(ctx, argv...)
}

func (p planted) ReadFile(path string) ([]byte, error) {
	switch path {
	case "/proc/mounts":
		return []byte(p.mounts), nil
	case "/proc/version":
		return []byte("Linux version 7.2\n"), nil
	}
	return p.Host.ReadFile(path)
}

var _ = Describe("A support bundle", func() {
	It("has what helps, and no secret, wherever one can be", func(ctx SpecContext) {
		secrets := map[string]string{} // by where it is
		secret := func(where string) string {
			if secrets[where] == "" {
				secrets[where] = string(rune('A'+len(secrets))) + "k4w" + strings.Repeat(string(rune('a'+len(secrets))), 6) + "-secret"
			}
			return secrets[where]
		}
		a := newSecretive(exportWithPasswords)
		a.put("chap", secret("CHAP file"))
		a.put("mutual", secret("mutual CHAP file"))
		Expect(a.settle(ctx).Converged()).To(BeTrue())
		Expect(a.password("password")).To(Equal(secret("CHAP file")), "it is in configfs too")
		file := func(name, text string) {
			Expect(os.WriteFile(filepath.Join(a.s.specs, name), []byte(text), 0o600)).To(Succeed())
		}
		file("inline.yaml", `# the old one was `+secret("comment")+`
apiVersion: volreconciler/v1alpha1
kind: Export
metadata: {name: inline, annotations: {note: `+secret("annotation")+`}}
spec:
  protocol: iscsi
  luns: [{volume: data}]
  initiators:
    - name: iqn.1993-08.org.debian:01:b
      auth: {chap: {username: user, password: `+secret("unknown field")+`, passwordFrom: {file: `+secret("instead of a file")+`}}}
`)
		file("image.yaml", `apiVersion: volreconciler/v1alpha1
kind: Volume
metadata: {name: image}
spec:
  pool: slow
  size: 16Mi
  source: {image: {format: raw, url: "https://u:`+secret("user of a URL")+`@127.0.0.1:1/a?X-Signature=`+secret("signature of a URL")+`"}}
`)
		file("broken.yaml", "password: ["+secret("broken file")+"\n")
		file("password.yaml", secret("password file among specs")+"\n")
		a.s.webConfig = filepath.Join(a.dir, "web.yaml")
		Expect(os.WriteFile(a.s.webConfig, []byte("basic_auth_users: {u: $2y$10$"+secret("web-config")+"}\n"), 0o600)).To(Succeed())
		a.s.discoveryUser, a.s.discoveryFile = "discovery", filepath.Join(a.dir, "discovery")
		a.put("discovery", secret("discovery password"))
		a.s.discoveryMutualUser, a.s.discoveryMutualFile = "node", "/"+secret("instead of discovery-mutual-password-file")
		a.s.data.imageCAFile = "/etc/" + secret("instead of image-ca-file")
		a.loop.Pass(ctx) // so that the agent speaks of these files

		c := collector{settings: a.s, machine: planted{Host: a.host, mounts: "//nas/a /mnt cifs rw,password=" + secret("mount option") + " 0 0\n" +
			"https://u:" + secret("source of a mount") + "@h/ /dav fuse rw 0 0\n", prints: func(argv []string) string {
			switch strings.Join(argv[:min(2, len(argv))], " ") {
			case "journalctl --unit=volreconciler.service":
				return "INFO got https://u:" + secret("URL in the journal") + "@h/a\nsudo: iscsiadm -n node.session.auth.password -v " + secret("command in the journal") +
					"\nDB_PASSWORD=" + secret("variable in the journal") + "\nDHHC-1:00:" + secret("key in the journal") + ":\n"
			case "dmsetup table":
				return "luks: 0 8 crypt aes-xts-plain64 " + secret("dm-crypt") + " 0 254:0 0\nint: 0 8 integrity 254:0 0 32 J 1 journal_mac:hmac:" + secret("dm-integrity") + "\n"
			case "systemctl show":
				return "ActiveState=active\nEnvironment=TOKEN=" + secret("unit") + "\n"
			case "lvm lvmconfig":
				return "# password=" + secret("lvm.conf") + "\nglobal {\n\tuse_lvmlockd=0\n}\n"
			}
			return ""
		}}}
		out := filepath.Join(GinkgoT().TempDir(), "node1.tar.gz")
		var said strings.Builder
		Expect(c.write(ctx, out, &said)).To(Succeed())
		stat, err := os.Stat(out)
		Expect(err).NotTo(HaveOccurred())
		Expect(stat.Mode().Perm()).To(Equal(fs.FileMode(0o600)))

		found := unpacked(out)
		for where, s := range secrets {
			for name, text := range found {
				for _, trace := range traces(s) {
					Expect(strings.Contains(text, trace)).To(BeFalse(), "the secret of %s is in %s:\n%s", where, name, text)
				}
			}
			Expect(said.String()).NotTo(ContainSubstring(s))
		}
		Expect(len(secrets)).To(BeNumerically(">=", 20))

		Expect(found["specs/all.yaml"]).To(ContainSubstring("file: " + a.dir + "/chap"))
		Expect(found["specs/inline.yaml"]).To(And(ContainSubstring("username: user"), ContainSubstring(spec.Redacted)))
		Expect(found["errors.txt"]).To(ContainSubstring("specs: broken.yaml: not valid YAML"))
		Expect(found["settings.yaml"]).To(And(
			ContainSubstring("web-config: "+a.s.webConfig+"\n"), ContainSubstring("discovery-password-file: "+a.s.discoveryFile+"\n"),
			ContainSubstring("discovery-mutual-password-file: "+spec.Redacted+" # no existing file\n"), ContainSubstring("image-ca-file: "+spec.Redacted+" # no existing file\n"),
		))
		Expect(found["agent/status.json"]).To(ContainSubstring("discovery-mutual-password-file: it does not name an existing file"))
		Expect(found["configfs.txt"]).To(ContainSubstring(observe.ISCSITarget("iqn.2026-11.io.volreconciler:data").ACL("iqn.1993-08.org.debian:01:a") + "/auth/password\n"))
		Expect(found["node.yaml"]).To(And(ContainSubstring("kind: Node"), ContainSubstring(spec.Redacted)))
		Expect(found["journal.txt"]).To(ContainSubstring("INFO got https://h/a\n"))
		Expect(found["dmsetup.txt"]).To(HavePrefix("luks: 0 8 crypt <redacted>\n"))
		Expect(found["lvm/full.conf"]).To(ContainSubstring("use_lvmlockd=0"))
		for _, name := range []string{"agent/status.json", "agent/plan.json", "agent/events.json", "plan.json", "identities.json"} {
			Expect(json.Valid([]byte(found[name]))).To(BeTrue(), "%s: %s", name, found[name])
		}
		Expect(found["plan.json"]).To(And(ContainSubstring(`"kind": "Plan"`), ContainSubstring("specs/inline.yaml"), Not(ContainSubstring("SetAuth"))))
		Expect(said.String()).To(And(ContainSubstring("journal.txt "), ContainSubstring("look through it before you send it")))

		Expect(c.write(ctx, out, &said)).To(MatchError(ContainSubstring("exists and is not overwritten")))
		Expect(unpacked(out)).To(Equal(found))
	})

	It("is removed if it is interrupted", func(ctx SpecContext) {
		a := newSecretive(exportWithPasswords)
		stopped, stop := context.WithCancel(ctx)
		stop()
		out := filepath.Join(GinkgoT().TempDir(), "node1.tar.gz")
		Expect(collector{settings: a.s, machine: a.host}.write(stopped, out, io.Discard)).To(MatchError("interrupted"))
		Expect(out).NotTo(BeAnExistingFile())
	})
})
