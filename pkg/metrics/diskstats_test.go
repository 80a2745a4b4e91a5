package metrics

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = DescribeTable("Statistics of devices", func(text string, want map[device]deviceStat) {
	Expect(parseDiskstats([]byte(text))).To(Equal(want))
},
	Entry("of Linux 7.2", "  98       0 ubda 573 49 28864 57 815 87 31415 132 0 60 195 0 0 0 0 248 5\n"+
		" 253      12 dm-12 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n",
		map[device]deviceStat{{253, 12}: {1, 3 * 512, .004, 5, 7 * 512, .008}}),
	Entry("of a kernel without discards", " 253 0 dm-0 1 2 3 4 5 6 7 8 9 10 11\n", map[device]deviceStat{{253, 0}: {1, 3 * 512, .004, 5, 7 * 512, .008}}),
	Entry("cut off", " 253 0 dm-0 1 2 3 4 5", map[device]deviceStat{}),
	Entry("no numbers", " 253 0 dm-0 1 2 x 4 5 6 7 8 9 10 11\n", map[device]deviceStat{}),
	Entry("nothing", "", map[device]deviceStat{}),
)
