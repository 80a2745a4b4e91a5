package spec_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Passwords", func() {
	const good, other = "correct horse battery", "staple staple staple"
	var dir, chap, mutual string
	var source *spec.Source

	BeforeEach(func() {
		base := GinkgoT().TempDir()
		dir, chap, mutual = filepath.Join(base, "specs"), filepath.Join(base, "chap"), filepath.Join(base, "mutual")
		write(dir+"/x.yaml", aPool+aVolume+export("open", "luns: [{volume: db}]")+
			header+"Export\nmetadata: {name: db}\nspec:\n  protocol: iscsi\n  luns: [{volume: db}]\n  initiators:\n"+
			"    - name: iqn.1993-08.org.debian:a\n      auth:\n"+
			"        chap: {username: u, passwordFrom: {file: "+chap+"}}\n"+
			"        mutual: {username: t, passwordFrom: {file: "+mutual+"}}\n")
		write(chap, good+"\n")
		write(mutual, other)
		source = spec.NewSource(dir, spec.Options{Settle: quick, Secrets: true})
	})
	password := func(set spec.Set) string {
		return set.Exports["db"].Spec.Initiators[0].Auth.CHAP.Password.Reveal()
	}
	expectRefused := func(ctx context.Context, path, message string) {
		GinkgoHelper()
		set := source.Load(ctx)
		Expect(errorsOf(set.Findings)).To(HaveLen(1))
		f := set.Findings[0]
		Expect(f.Err).To(MatchError(ContainSubstring(message)))
		Expect(f.Path).To(Equal("spec.initiators[0].auth." + path + ".passwordFrom.file"))
		Expect(f.Line).To(BeNumerically(">", 20))
		Expect(set.Complete).To(BeFalse())
		Expect(set.Invalid).To(HaveKey(spec.ID{Kind: spec.KindExport, Name: "db"}))
		Expect(set.Exports).To(HaveKey("open"))
		text := fmt.Sprintf("%v %+v %#v", set, set.Findings, set.Invalid)
		Expect(text).NotTo(Or(ContainSubstring(good), ContainSubstring(other)))
	}

	It("are read, without the newline at their end", func(ctx SpecContext) {
		set := source.Load(ctx)
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		Expect(password(set)).To(Equal(good))
		Expect(set.Exports["db"].Spec.Initiators[0].Auth.Mutual.Password.Reveal()).To(Equal(other))
	})

	It("are a placeholder where they are to be, without the files being read", func(ctx SpecContext) {
		Expect(os.Remove(chap)).To(Succeed())
		set := spec.NewSource(dir, spec.Options{Settle: quick, Redact: true}).Load(ctx)
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		Expect(password(set)).To(Equal(spec.Redacted))
		Expect(set.Exports["db"].Spec.Initiators[0].Auth.Mutual.Password.Reveal()).To(Equal(spec.Redacted))
	})

	It("are read again each time", func(ctx SpecContext) {
		before := source.Load(ctx)
		write(chap, "a new password\n")
		Expect(password(source.Load(ctx))).To(Equal("a new password"))
		Expect(password(before)).To(Equal(good), "an earlier Set stays as it was")
	})

	It("do not make anything anew while they stay the same", func(ctx SpecContext) {
		auth := func() *spec.Auth { return source.Load(ctx).Exports["db"].Spec.Initiators[0].Auth }
		before := auth()
		Expect(auth()).To(BeIdenticalTo(before))
		write(chap, good+"\n") // the same password
		Expect(auth()).To(BeIdenticalTo(before))

		write(chap, "a new password\n")
		changed := auth()
		Expect(changed.CHAP.Password.Reveal()).To(Equal("a new password"))
		Expect(auth()).To(BeIdenticalTo(changed))
	})

	It("are refused for as long as there is a mistake, whichever it is", func(ctx SpecContext) {
		for range 2 {
			for range 2 {
				Expect(os.Chmod(chap, 0o644)).To(Succeed())
				expectRefused(ctx, "chap", "is accessible to others (mode 0644)")
			}
			Expect(os.Chmod(chap, 0o640)).To(Succeed())
			expectRefused(ctx, "chap", "mode 0640")
			Expect(os.Rename(chap, chap+".away")).To(Succeed())
			expectRefused(ctx, "chap", "does not exist; create it")
			Expect(os.Rename(chap+".away", chap)).To(Succeed())
			Expect(os.Chmod(chap, 0o600)).To(Succeed())
			Expect(password(source.Load(ctx))).To(Equal(good))
		}
	})

	It("are not read unless asked for", func(ctx SpecContext) {
		Expect(os.Remove(chap)).To(Succeed())
		set := spec.NewSource(dir, spec.Options{Settle: quick}).Load(ctx)
		Expect(set.Complete).To(BeTrue())
		Expect(password(set)).To(BeEmpty())
		Expect(spec.LoadPaths([]string{dir}, "").Complete).To(BeTrue())
	})

	It("may be behind symbolic links", func(ctx SpecContext) {
		Expect(os.Rename(chap, chap+".real")).To(Succeed())
		Expect(os.Symlink("chap.real", chap)).To(Succeed())
		Expect(password(source.Load(ctx))).To(Equal(good))
	})

	It("appear in no output", func(ctx SpecContext) {
		set := source.Load(ctx)
		Expect(fmt.Sprintf("%v %+v %#v %s", set, set, set, set.Exports["db"].Spec.Initiators[0].Auth.CHAP.Password)).
			NotTo(ContainSubstring(good))
	})

	DescribeTable("are refused",
		func(ctx SpecContext, text, message string) {
			write(chap, text)
			expectRefused(ctx, "chap", message)
		},
		Entry("empty", "", "is empty"),
		Entry("only a newline", "\n", "is empty"),
		Entry("NULL", "NULL\n", "no password"),
		Entry("NULL and more, of which the kernel sees NULL only", "NULL-and-much-more\n", "no password"),
		Entry("with a NUL", "correct\x00horse battery\n", "control character"),
		Entry("short", "elevenchars\n", "11 bytes; at least 12"),
		Entry("long", strings.Repeat("x", 256), "256 bytes; the kernel accepts at most 255"),
		Entry("two lines", good+"\n\n", "control character"),
		Entry("Windows line end", good+"\r\n", "control character"),
		Entry("a large file", strings.Repeat("x", 5000), "bytes; it must contain only the password"),
	)

	It("are refused if the two are the same, at the second", func(ctx SpecContext) {
		write(mutual, good)
		expectRefused(ctx, "mutual", "contains the same password as the file for chap; the two must differ (RFC 7143, section 12.1.3)")
	})

	It("are refused if others could read them", func(ctx SpecContext) {
		for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o601} {
			Expect(os.Chmod(chap, mode)).To(Succeed())
			expectRefused(ctx, "chap", fmt.Sprintf("is accessible to others (mode %04o); run chmod 600 %s", mode, chap))
		}
	})

	It("are refused if a link leads to a file that others could read", func(ctx SpecContext) {
		Expect(os.Rename(chap, chap+".real")).To(Succeed())
		Expect(os.Symlink("chap.real", chap+".link")).To(Succeed())
		Expect(os.Symlink("chap.link", chap)).To(Succeed())
		Expect(os.Chmod(chap+".real", 0o644)).To(Succeed())
		expectRefused(ctx, "chap", "is accessible to others (mode 0644)")
	})

	It("are refused if they belong to somebody else", func(ctx SpecContext) {
		if os.Geteuid() != 0 {
			Skip("only root can give a file away")
		}
		Expect(os.Chown(chap, 4711, 0)).To(Succeed())
		expectRefused(ctx, "chap", "belongs to another user")
	})

	It("are refused below the specs as anywhere else, if others could read them", func(ctx SpecContext) {
		inside := filepath.Join(dir, "secrets", "chap")
		write(inside, good)
		specs, err := os.ReadFile(dir + "/x.yaml")
		Expect(err).NotTo(HaveOccurred())
		write(dir+"/x.yaml", strings.Replace(string(specs), chap, inside, 1))
		Expect(password(source.Load(ctx))).To(Equal(good))
		Expect(os.Chmod(inside, 0o644)).To(Succeed())
		expectRefused(ctx, "chap", "is accessible to others (mode 0644)")
	})

	DescribeTable("are not repeated if they are in a file that is read as specs",
		func(ctx SpecContext, text string) {
			inside := filepath.Join(dir, "chap.yaml")
			write(inside, text)
			specs, err := os.ReadFile(dir + "/x.yaml")
			Expect(err).NotTo(HaveOccurred())
			write(dir+"/x.yaml", strings.Replace(string(specs), chap, inside, 1))
			for _, set := range []spec.Set{source.Load(ctx), spec.LoadPaths([]string{dir}, "")} {
				said := strings.Join(errorsOf(set.Findings), "\n")
				Expect(said).To(ContainSubstring("chap.yaml: this is the password file of Export/db"))
				Expect(said).NotTo(Or(ContainSubstring("hunter"), ContainSubstring("sesame")))
			}
		},
		Entry("a word", "hunter-and-sesame\n"),
		Entry("what looks like an alias", "*hunter-and-sesame\n"),
		Entry("what looks like a tag", "!hunter-and-sesame\n"),
		Entry("what looks like a mapping", "hunter: and sesame\n"),
		Entry("no YAML at all", "[hunter-and-sesame\n"),
	)

	DescribeTable("are not repeated if they stand in the specs by mistake",
		func(ctx SpecContext, auth string) {
			write(dir+"/x.yaml", aPool+aVolume+header+"Export\nmetadata: {name: db}\nspec:\n  protocol: iscsi\n  luns: [{volume: db}]\n  initiators:\n"+
				"    - name: iqn.1993-08.org.debian:a\n      auth: "+auth+"\n")
			set := source.Load(ctx)
			Expect(set.Invalid).To(HaveKey(spec.ID{Kind: spec.KindExport, Name: "db"}))
			Expect(fmt.Sprint(errorsOf(set.Findings), set.Invalid)).NotTo(ContainSubstring("4711471147"))
		},
		Entry("for its file", "{chap: {username: u, passwordFrom: {file: x4711471147}}}"),
		Entry("for where it is found", "{chap: {username: u, passwordFrom: x4711471147}}"),
		Entry("as a number", "{chap: {username: u, passwordFrom: {file: 4711471147}}}"),
		Entry("as a field of its own", "{chap: {username: u, password: 4711471147}}"),
		Entry("as the credentials", "{chap: x4711471147}"),
		Entry("as all there is", "x4711471147"),
		Entry("with a tag", "{chap: {username: u, passwordFrom: {file: !4711471147 x}}}"),
		Entry("with an anchor", "{chap: {username: u, passwordFrom: {file: &a4711471147 x}}}"),
	)

	It("are refused if they are in no regular file", func(ctx SpecContext) {
		Expect(os.Remove(chap)).To(Succeed())
		expectRefused(ctx, "chap", "does not exist; create it with only the password in it, and run chmod 600 on it")
		Expect(os.Mkdir(chap, 0o700)).To(Succeed())
		expectRefused(ctx, "chap", "not a regular file")
		Expect(os.Remove(chap)).To(Succeed())
		Expect(syscall.Mkfifo(chap, 0o600)).To(Succeed())
		expectRefused(ctx, "chap", "not a regular file")
	})
})
