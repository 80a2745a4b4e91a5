package host

import (
	"io/fs"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// makes is a machine on which making a directory ends in a certain way.
type makes struct {
	Host
	err error
}

func (m makes) Mkdir(string) error { return m.err }

var _ = DescribeTable("A directory that is made is announced",
	func(err error, announced bool) {
		var changed []string
		a := &Announced{Host: makes{err: err}, Changed: func(path string) { changed = append(changed, path) }}
		if err == nil {
			Expect(a.Mkdir("/d")).To(Succeed())
		} else {
			Expect(a.Mkdir("/d")).To(MatchError(err))
		}
		if announced {
			Expect(changed).NotTo(BeEmpty())
		} else {
			Expect(changed).To(BeEmpty())
		}
	},
	Entry("if it is new", nil, true),
	Entry("if that failed, perhaps in part", fs.ErrInvalid, true),
	Entry("but not if it was there", fs.ErrExist, false))
