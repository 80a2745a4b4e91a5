package metrics

import (
	"io/fs"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestMetrics(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "metrics")
}

// files are files by their paths.
type files map[string]string

func (f files) ReadFile(path string) ([]byte, error) {
	if text, there := f[path]; there {
		return []byte(text), nil
	}
	return nil, fs.ErrNotExist
}
