package debian

import (
	"io"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// fakeCache answers in the place of apt-cache, of which it is given the last two
// arguments: as apt does, with nothing and success for a package that it does not know.
func fakeCache(script string) {
	dir := GinkgoT().TempDir()
	program := "#!/bin/sh\nwhile [ $# -gt 2 ]; do shift; done\n" + script
	Expect(os.WriteFile(filepath.Join(dir, "apt-cache"), []byte(program), 0o755)).To(Succeed())
	GinkgoT().Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// printed returns what do writes to the standard error.
func printed(do func()) string {
	GinkgoHelper()
	reader, writer, err := os.Pipe()
	Expect(err).NotTo(HaveOccurred())
	stderr := os.Stderr
	os.Stderr = writer
	defer func() { os.Stderr = stderr }()
	do()
	Expect(writer.Close()).To(Succeed())
	text, err := io.ReadAll(reader)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

var _ = Describe("a version that is wanted", Serial, func() {
	testing := &archive{suite: Testing, options: []string{"-o", "Dir::Cache=/none"}}

	DescribeTable("of a package",
		func(ctx SpecContext, script, want, line string) {
			fakeCache(script)
			var version string
			var err error
			Expect(printed(func() { version, err = testing.pinned(ctx, "tool", "2.1-1") })).To(Equal(line))
			if want == "" {
				Expect(err).To(MatchError("package tool is not in Debian testing"))
				return
			}
			Expect(err).NotTo(HaveOccurred())
			Expect(version).To(Equal(want))
		},
		Entry("is taken where the archive has it, though it has newer ones",
			`echo "tool | 2.2-1 | http://mirror testing/main"; echo "tool | 2.1-1 | http://mirror testing/main"`, "2.1-1", ""),
		Entry("gives way to the newest where it has gone",
			`echo "tool | 2.3-1 | http://mirror testing/main"; echo "tool | 2.2-1 | http://mirror testing/main"`, "2.3-1",
			"guest: tool 2.1-1 is no longer in Debian testing, taking tool 2.3-1\n"),
		Entry("is not taken for one that begins like it",
			`echo "tool | 2.1-1+b1 | http://mirror testing/main"`, "2.1-1+b1",
			"guest: tool 2.1-1 is no longer in Debian testing, taking tool 2.1-1+b1\n"),
		Entry("is an error where the whole package has gone", `echo "N: Unable to locate package tool" >&2`, "", ""),
	)

	DescribeTable("of the kernel's source",
		func(ctx SpecContext, script, want, line string) {
			fakeCache(script)
			var name string
			var err error
			Expect(printed(func() { name, err = sourcePackage(ctx, testing) })).To(Equal(line))
			if want == "" {
				Expect(err).To(MatchError("no package like " + kernelSource + " in Debian testing"))
				return
			}
			Expect(err).NotTo(HaveOccurred())
			Expect(name).To(Equal(want))
		},
		Entry("is taken where the archive has it",
			`case $1 in --names-only) echo "linux-source-9.9 - source"; echo "`+kernelSource+` - source";;
				madison) echo "$2 | `+kernelSourceVersion+` | http://mirror testing/main";; esac`,
			kernelSource+"="+kernelSourceVersion, ""),
		Entry("gives way to another of its series",
			`case $1 in --names-only) echo "linux-source-9.9 - source"; echo "`+kernelSource+` - source";;
				madison) echo "$2 | 7.2.99-1 | http://mirror testing/main";; esac`,
			kernelSource+"=7.2.99-1",
			"guest: "+kernelSource+" "+kernelSourceVersion+" is no longer in Debian testing, taking "+kernelSource+" 7.2.99-1\n"),
		Entry("gives way to the newest series, by its numbers, where its own has gone",
			`case $1 in --names-only) echo "linux-source-7.10 - source"; echo "linux-source-7.9 - source";;
				madison) echo "$2 | ${2#linux-source-}.1-1 | http://mirror testing/main";; esac`,
			"linux-source-7.10=7.10.1-1",
			"guest: "+kernelSource+" "+kernelSourceVersion+" is no longer in Debian testing, taking linux-source-7.10 7.10.1-1\n"),
		Entry("is an error where there is none", `:`, "", ""),
	)
})
