package monitoring

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"gopkg.in/yaml.v3"
)

func TestMonitoring(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "monitoring")
}

const (
	root  = "../.."
	rules = "deploy/prometheus/rules.yaml"
	// limit is how long anything here may take.
	limit = 30 * time.Second
)

func read(path string) string {
	GinkgoHelper()
	content, err := os.ReadFile(filepath.Join(root, path))
	Expect(err).NotTo(HaveOccurred())
	return string(content)
}

// program returns the path of a program of Debian's package prometheus, or skips the spec where there is none.
func program(name string) string {
	GinkgoHelper()
	path, err := exec.LookPath(name)
	if err != nil {
		Skip(name + " is not installed (Debian: prometheus)")
	}
	return path
}

// alert is a rule that raises one.
type alert struct {
	Alert       string
	Expr        string
	Labels      map[string]string
	Annotations map[string]string
}

func alerts() []alert {
	GinkgoHelper()
	var file struct{ Groups []struct{ Rules []alert } }
	Expect(yaml.Unmarshal([]byte(read(rules)), &file)).To(Succeed())
	var all []alert
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	Expect(all).NotTo(BeEmpty())
	return all
}
