package spec_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"gopkg.in/yaml.v3"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("The secrets of a Repository", func() {
	const password, key = "pw4", "k3y-4711"
	var dir, passwordFile, keyFile string
	var source *spec.Source
	id := spec.ID{Kind: spec.KindRepository, Name: "offsite"}

	BeforeEach(func() {
		base := GinkgoT().TempDir()
		dir, passwordFile, keyFile = filepath.Join(base, "specs"), filepath.Join(base, "restic"), filepath.Join(base, "key")
		write(dir+"/x.yaml", aPool+header+"Repository\nmetadata: {name: offsite}\nspec:\n  restic:\n    url: s3:https://h/b\n"+
			"    passwordFrom: {file: "+passwordFile+"}\n    environmentFrom:\n      AWS_SECRET_ACCESS_KEY: {file: "+keyFile+"}\n")
		write(passwordFile, password+"\n")
		write(keyFile, key)
		source = spec.NewSource(dir, spec.Options{Settle: quick, Secrets: true})
	})

	It("are read, without the newline at their end, and may be short", func(ctx SpecContext) {
		set := source.Load(ctx)
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		restic := set.Repositories["offsite"].Spec.Restic
		Expect(restic.Password.Reveal()).To(Equal(password))
		Expect(restic.Environment).To(Equal(map[string]spec.Secret{"AWS_SECRET_ACCESS_KEY": spec.NewSecret(key)}))
	})

	It("are read again each time, and are not those of an earlier Set", func(ctx SpecContext) {
		before := source.Load(ctx).Repositories["offsite"].Spec.Restic
		write(keyFile, "another")
		Expect(source.Load(ctx).Repositories["offsite"].Spec.Restic.Environment["AWS_SECRET_ACCESS_KEY"].Reveal()).To(Equal("another"))
		Expect(before.Environment["AWS_SECRET_ACCESS_KEY"].Reveal()).To(Equal(key))
	})

	It("are a placeholder where they are to be, without the files being read", func(ctx SpecContext) {
		Expect(os.Remove(keyFile)).To(Succeed())
		set := spec.NewSource(dir, spec.Options{Settle: quick, Redact: true}).Load(ctx)
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		restic := set.Repositories["offsite"].Spec.Restic
		Expect([]string{restic.Password.Reveal(), restic.Environment["AWS_SECRET_ACCESS_KEY"].Reveal()}).To(HaveEach(spec.Redacted))
		unread := spec.LoadPaths([]string{dir}, "").Repositories["offsite"].Spec.Restic
		Expect(unread.Password.Reveal()).To(BeEmpty())
		Expect(unread.Environment).To(BeEmpty())
	})

	It("appear in no output", func(ctx SpecContext) {
		set := source.Load(ctx)
		r := set.Repositories["offsite"]
		Expect(r.Spec.Restic.Password.Reveal()).To(Equal(password))
		asJSON, err := json.Marshal(r)
		Expect(err).NotTo(HaveOccurred())
		asYAML, err := yaml.Marshal(r)
		Expect(err).NotTo(HaveOccurred())
		said := fmt.Sprintf("%v %+v %#v %v %s %q %x %+v %v", r, r, r, &r, r.Spec.Restic.Password, r.Spec.Restic.Environment, r.Spec.Restic.Password, set, set.Object(id)) + string(asJSON) + string(asYAML)
		for _, secret := range []string{password, key, fmt.Sprintf("%x", password), fmt.Sprintf("%x", key)} {
			Expect(said).NotTo(ContainSubstring(secret))
		}
	})

	DescribeTable("are refused",
		func(ctx SpecContext, spoil func(), path, message string) {
			spoil()
			set := source.Load(ctx)
			Expect(errorsOf(set.Findings)).To(HaveLen(1))
			f := set.Findings[0]
			Expect(f.Err).To(MatchError(ContainSubstring(message)))
			Expect(f.Path).To(Equal("spec.restic." + path))
			Expect(f.Line).To(BeNumerically(">", 10))
			Expect(set.Invalid).To(HaveKey(id))
			Expect(set.Repositories).To(BeEmpty())
			Expect(set.Pools).To(HaveKey("fast"))
			Expect(fmt.Sprintf("%v %+v %#v", set, set.Findings, set.Invalid)).NotTo(Or(ContainSubstring(password), ContainSubstring(key)))
		},
		Entry("without a password file", func() { Expect(os.Remove(passwordFile)).To(Succeed()) }, "passwordFrom.file", "does not exist; create it"),
		Entry("if others can read the password", func() { Expect(os.Chmod(passwordFile, 0o644)).To(Succeed()) }, "passwordFrom.file", "is accessible to others (mode 0644)"),
		Entry("with an empty password", func() { write(passwordFile, "\n") }, "passwordFrom.file", "is empty"),
		Entry("with a password of two lines", func() { write(passwordFile, password+"\n"+key+"\n") }, "passwordFrom.file", "control character"),
		Entry("without the file of a variable", func() { Expect(os.Remove(keyFile)).To(Succeed()) }, "environmentFrom[AWS_SECRET_ACCESS_KEY].file", "does not exist; create it"),
		Entry("if others can read a variable", func() { Expect(os.Chmod(keyFile, 0o640)).To(Succeed()) }, "environmentFrom[AWS_SECRET_ACCESS_KEY].file", "mode 0640"),
		Entry("with a variable of two lines", func() { write(keyFile, key+"\n"+key) }, "environmentFrom[AWS_SECRET_ACCESS_KEY].file", "control character"),
	)

	It("are not repeated if they are in a file that is read as specs", func(ctx SpecContext) {
		inside := filepath.Join(dir, "key.yaml")
		write(inside, key+": x\n")
		specs, err := os.ReadFile(dir + "/x.yaml")
		Expect(err).NotTo(HaveOccurred())
		write(dir+"/x.yaml", strings.Replace(string(specs), keyFile, inside, 1))
		said := strings.Join(errorsOf(source.Load(ctx).Findings), "\n")
		Expect(said).To(ContainSubstring("key.yaml: this is the password file of Repository/offsite"))
		Expect(said).NotTo(ContainSubstring(key))
	})

	DescribeTable("are not repeated if they stand in the specs by mistake",
		func(restic string) {
			text := aPool + header + "Repository\nmetadata: {name: offsite}\nspec: {restic: " + restic + "}\n"
			set := loadText(text)
			Expect(set.Invalid).To(HaveKey(id))
			Expect(fmt.Sprint(errorsOf(set.Findings), set.Invalid)).NotTo(ContainSubstring("4711471147"))
			data, err := spec.RedactFile([]byte(text))
			if err == nil {
				Expect(string(data)).NotTo(ContainSubstring("4711471147"))
			}
		},
		Entry("for its file", "{url: /a/b, passwordFrom: {file: x4711471147}}"),
		Entry("for where it is found", "{url: /a/b, passwordFrom: x4711471147}"),
		Entry("as a number", "{url: /a/b, passwordFrom: {file: 4711471147}}"),
		Entry("as a field of its own", "{url: /a/b, password: 4711471147}"),
		Entry("as all there is", "x4711471147"),
		Entry("as the value of a variable", "{url: /a/b, passwordFrom: {file: /s}, environmentFrom: {AWS_SECRET_ACCESS_KEY: x4711471147}}"),
		Entry("as a number for a variable", "{url: /a/b, passwordFrom: {file: /s}, environmentFrom: {AWS_SECRET_ACCESS_KEY: 4711471147}}"),
		Entry("as the file of a variable", "{url: /a/b, passwordFrom: {file: /s}, environmentFrom: {AWS_SECRET_ACCESS_KEY: {file: x4711471147}}}"),
		Entry("as another field of a variable", "{url: /a/b, passwordFrom: {file: /s}, environmentFrom: {AWS_SECRET_ACCESS_KEY: {value: x4711471147}}}"),
		Entry("as the variables", "{url: /a/b, passwordFrom: {file: /s}, environmentFrom: [AWS_SECRET_ACCESS_KEY=4711471147]}"),
		Entry("with a tag", "{url: !x4711471147 /a/b, passwordFrom: {file: /s}}"),
		Entry("with an anchor", "{url: /a/b, passwordFrom: {file: &a4711471147 /s}}"),
		Entry("in the URL", "{url: 'rest:https://u:x4711471147@h/b', passwordFrom: {file: /s}}"),
		Entry("in a URL that cannot be read", "{url: 'rest:https://u:x4711471147%@h/b', passwordFrom: {file: /s}}"),
		Entry("in a URL for sftp", "{url: 'sftp:u:x4711471147@h:/b', passwordFrom: {file: /s}}"),
		Entry("in a list of URLs", "{url: ['rest:https://u:x4711471147@h/b'], passwordFrom: {file: /s}}"),
	)

	It("are not in a file for strangers, and what is public is", func() {
		text, err := spec.RedactFile([]byte(header + "Repository\nmetadata: {name: offsite}\nspec:\n  restic:\n    url: rest:https://u:Zk4w@h:8000/b?Zk4w\n" +
			"    passwordFrom: {file: /etc/restic/password}\n    environmentFrom: {AWS_ACCESS_KEY_ID: {file: /etc/s3/id, value: Zk4w}, Zk4w: {file: Zk4w}, B2_Zk4w: Zk4w}\n" +
			"  prune: {every: Zk4w, maxUnused: 10%}\n  check: {every: never}\n"))
		Expect(err).NotTo(HaveOccurred())
		Expect(string(text)).NotTo(ContainSubstring("Zk4w"))
		for _, kept := range []string{"url: rest:https://h:8000/b\n", "file: /etc/restic/password", "AWS_ACCESS_KEY_ID:", "file: /etc/s3/id", "every: never", "maxUnused: 10%"} {
			Expect(string(text)).To(ContainSubstring(kept))
		}
	})
})
