package fakehost_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"gopkg.in/yaml.v3"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
)

var _ = It("keeps all that is in configfs when it is stored in a file", func() {
	want, _ := recorded()
	data, err := yaml.Marshal(want)
	Expect(err).NotTo(HaveOccurred())
	var have []fakehost.Entry
	Expect(yaml.Unmarshal(data, &have)).To(Succeed())
	Expect(have).To(Equal(want))
})
