// Package packages tests what users install: the systemd unit, and the .deb and .rpm, in a guest
// with systemd.
//
// Without VOLRECONCILER_GUEST=1 only the unit is checked. The rest starts at install_test.go.
package packages

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestPackages(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(time.Minute)
	EnforceDefaultTimeoutsWhenUsingContexts()
	SetDefaultEventuallyPollingInterval(200 * time.Millisecond)
	RunSpecs(t, "packages")
}

// needs skips a spec where a program is missing, but not in make test, which installs it.
func needs(program string) {
	GinkgoHelper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("VOLRECONCILER_GUEST") != "" {
			Fail("install " + program + ": hack/install-deps.sh test")
		}
		Skip(program + " is not installed")
	}
}

func output(ctx context.Context, env []string, argv ...string) string {
	GinkgoHelper()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s: %s", strings.Join(argv, " "), out)
	return string(out)
}

// build makes both packages and returns the paths of the .deb and the .rpm.
func build(ctx context.Context, version string) (deb, rpm string) {
	GinkgoHelper()
	if os.Getenv("VOLRECONCILER_GUEST") == "" {
		Skip("set VOLRECONCILER_GUEST=1 to make the packages")
	}
	dir := GinkgoT().TempDir()
	output(ctx, []string{"VERSION=" + version}, "hack/packages.sh", dir)
	find := func(pattern string) string {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		Expect(err).NotTo(HaveOccurred())
		Expect(found).To(HaveLen(1))
		return found[0]
	}
	return find("*.deb"), find("*.rpm")
}

// builds are the packages that specs have in common, by version.
var builds = map[string][2]string{}

// built is build, once for all specs.
func built(ctx context.Context, version string) (deb, rpm string) {
	GinkgoHelper()
	if _, made := builds[version]; !made {
		deb, rpm := build(ctx, version)
		dir, err := os.MkdirTemp("", "packages-")
		Expect(err).NotTo(HaveOccurred())
		output(ctx, nil, "cp", deb, rpm, dir)
		builds[version] = [2]string{filepath.Join(dir, filepath.Base(deb)), filepath.Join(dir, filepath.Base(rpm))}
	}
	return builds[version][0], builds[version][1]
}

var _ = AfterSuite(func() {
	for _, made := range builds {
		Expect(os.RemoveAll(filepath.Dir(made[0]))).To(Succeed())
	}
})

const unit = "deploy/systemd/volreconciler.service"

// maxExposure is the worst that systemd-analyze may think of the unit, of 10.
const maxExposure = 4.5

var exposure = regexp.MustCompile(`Overall exposure level for volreconciler.service: ([0-9.]+)`)

var _ = Describe("The systemd unit", func() {
	It("is as hardened as LVM and configfs allow", func(ctx SpecContext) {
		needs("systemd-analyze")
		found := exposure.FindStringSubmatch(output(ctx, nil, "systemd-analyze", "security", "--offline=true", "--no-pager", unit))
		Expect(found).To(HaveLen(2))
		Expect(strconv.ParseFloat(found[1], 64)).To(BeNumerically("<=", maxExposure))
	})
	It("has a reason for everything that it leaves open", func() {
		text, err := os.ReadFile("../../" + unit)
		Expect(err).NotTo(HaveOccurred())
		for _, option := range []string{
			"ProtectKernelTunables", "PrivateDevices", "ProtectKernelModules", "ProtectClock", "ProtectHostname", "PrivateNetwork",
			"PrivateIPC", "PrivateUsers", "PrivateTmp", "ProtectHome",
		} {
			Expect(string(text)).NotTo(MatchRegexp(`(?m)^`+option+`=`), "it cannot be used")
			Expect(string(text)).To(MatchRegexp(`(?m)^# .*`+option), "say why it is not used")
		}
	})
})

var _ = Describe("What comes with the packages", func() {
	It("has settings that the agent knows", func(ctx SpecContext) {
		text, err := os.ReadFile("../../deploy/packages/config.yaml")
		Expect(err).NotTo(HaveOccurred())
		settings := regexp.MustCompile(`(?m)^# ([a-z-]+:)`).ReplaceAll(text, []byte("$1"))
		Expect(strings.Count(string(settings), "\n#")).To(BeNumerically("<", strings.Count(string(text), "\n#")))
		file := filepath.Join(GinkgoT().TempDir(), "config.yaml")
		Expect(os.WriteFile(file, settings, 0o600)).To(Succeed())
		output(ctx, nil, "go", "run", "./cmd/volreconciler", "validate", "--config", file, "examples/specs/1-smallest.yaml")
	}, NodeTimeout(5*time.Minute))
})

var _ = Describe("A package", func() {
	var deb, rpm string
	BeforeEach(func(ctx SpecContext) { deb, rpm = built(ctx, "") })

	It("is the same bytes when it is built again", func(ctx SpecContext) {
		again, rpmAgain := build(ctx, "")
		for one, other := range map[string]string{deb: again, rpm: rpmAgain} {
			before, err := os.ReadFile(one)
			Expect(err).NotTo(HaveOccurred())
			after, err := os.ReadFile(other)
			Expect(err).NotTo(HaveOccurred())
			Expect(after).To(Equal(before), filepath.Base(one))
		}
	}, NodeTimeout(5*time.Minute))
	It("pleases lintian", func(ctx SpecContext) {
		needs("lintian")
		Expect(output(ctx, []string{"LC_ALL=C"}, "lintian", "--allow-root", "--fail-on=error,warning", "--tag-display-limit=0", deb)).To(BeEmpty())
	}, NodeTimeout(5*time.Minute))
	It("has what users expect of a package", func(ctx SpecContext) {
		list := output(ctx, nil, "sh", "-c", "dpkg-deb --fsys-tarfile "+deb+" | tar -t")
		for _, path := range []string{
			"usr/sbin/volreconciler", "usr/lib/systemd/system/volreconciler.service", "etc/volreconciler/config.yaml",
			"usr/share/man/man1/volreconciler.1.gz", "usr/share/man/man1/volreconciler-run.1.gz",
			"usr/share/bash-completion/completions/volreconciler", "usr/share/fish/vendor_completions.d/volreconciler.fish",
			"usr/share/zsh/vendor-completions/_volreconciler",
			"usr/share/doc/volreconciler/changelog.gz", "usr/share/doc/volreconciler/changelog.Debian.gz", "usr/share/doc/volreconciler/copyright",
		} {
			Expect(list).To(MatchRegexp(`(?m)^\./` + regexp.QuoteMeta(path) + `$`))
		}
		Expect(output(ctx, nil, "sh", "-c", "rpm -qpl "+rpm+" | grep zsh/site-functions/_volreconciler")).NotTo(BeEmpty())
	})
	It("keeps the settings from other users", func(ctx SpecContext) {
		Expect(output(ctx, nil, "sh", "-c", "dpkg-deb --fsys-tarfile "+deb+" | tar -tv ./etc/volreconciler/config.yaml")).To(MatchRegexp(`^-rw-r----- (root/root|0/0) `))
		needs("rpm")
		Expect(output(ctx, nil, "sh", "-c", "rpm -qp --qf '[%{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILENAMES}\n]' "+rpm+" | grep config.yaml")).To(Equal(
			"-rw-r----- root root /etc/volreconciler/config.yaml\n"))
	}, NodeTimeout(5*time.Minute))
	It("has the same files as .rpm, whose scripts are shell", func(ctx SpecContext) {
		needs("rpm")
		files := func(list string) []string {
			var kept []string
			for line := range strings.Lines(list) {
				path := strings.TrimPrefix(strings.TrimSpace(line), ".")
				if !strings.HasSuffix(path, "/") && !regexp.MustCompile(`/(zsh|lintian)/|changelog\.Debian`).MatchString(path) {
					kept = append(kept, path)
				}
			}
			return kept
		}
		ofRPM := output(ctx, nil, "rpm", "-qp", "--qf", "[%{FILEMODES:perms} %{FILENAMES}\n]", rpm)
		ofRPM = regexp.MustCompile(`(?m)^d.*\n`).ReplaceAllString(ofRPM, "")
		ofRPM = regexp.MustCompile(`(?m)^\S+ `).ReplaceAllString(ofRPM, "")
		Expect(files(ofRPM)).To(ConsistOf(files(output(ctx, nil, "sh", "-c", "dpkg-deb --fsys-tarfile "+deb+" | tar -t"))))
		output(ctx, nil, "sh", "-ec", "for script in deploy/packages/*/*; do sh -n $script; done")
		Expect(output(ctx, nil, "rpm", "-qp", "--configfiles", rpm)).To(Equal("/etc/volreconciler/config.yaml\n"))
	})
})
