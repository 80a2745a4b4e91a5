package main

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = DescribeTable("Sizes are easy to read",
	func(n uint64, expected string) { Expect(bytes(n)).To(Equal(expected)) },
	Entry(nil, uint64(0), "0B"),
	Entry(nil, uint64(1023), "1023B"),
	Entry(nil, uint64(1024), "1Ki"),
	Entry(nil, uint64(1536), "1.5Ki"),
	Entry(nil, uint64(155189248), "148Mi"),
	Entry(nil, uint64(20*gib), "20Gi"),
	Entry(nil, uint64(20*gib-4<<20), "20Gi"),
	Entry(nil, uint64(1)<<63, "8Ei"),
)

var _ = DescribeTable("Ages are short",
	func(d time.Duration, expected string) { Expect(age(d)).To(Equal(expected)) },
	Entry("clocks that differ", -time.Second, "0s"),
	Entry(nil, 119*time.Second, "119s"),
	Entry(nil, 2*time.Minute, "2m"),
	Entry(nil, 119*time.Minute, "119m"),
	Entry(nil, 47*time.Hour, "47h"),
	Entry(nil, 48*time.Hour, "2d"),
)

var _ = DescribeTable("What is left is counted in minutes",
	func(d time.Duration, expected string) { Expect(timeLeft(d)).To(Equal(expected)) },
	Entry(nil, -time.Hour, "due"),
	Entry(nil, time.Duration(0), "due"),
	Entry(nil, 59*time.Second, "less than 1m left"),
	Entry(nil, 10*time.Minute, "10m left"),
	Entry(nil, 24*time.Hour-time.Second, "23h59m left"),
	Entry(nil, 24*time.Hour, "24h0m left"),
)

var _ = It("keeps control characters from the terminal", func() {
	Expect(oneLine("a\nb\x1b[31mc\r\n")).To(Equal("a; b [31mc"))
})
