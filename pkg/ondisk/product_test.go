package ondisk

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = DescribeTable("Product", func(name, product string) {
	Expect(ProductName(name)).To(Equal(product))
	Expect(len(product)).To(BeNumerically("<=", 16))
},
	Entry("of a short name", "db", "db"),
	Entry("of one that just fits", "a-volume-name-16", "a-volume-name-16"),
	Entry("of a long one", "a-volume-name-of-17", "a-volume-na-65e9"),
	Entry("of another one that begins alike", "a-volume-name-of-18", "a-volume-na-d79b"),
)
