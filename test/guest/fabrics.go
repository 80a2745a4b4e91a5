package guest

import (
	"fmt"
	"strings"
)

// What follows are scripts, to be run in a guest. They give it in software what
// other machines have hardware for. What is there already stays.

// Both ends of RDMA are at these addresses.
const (
	RDMAAddress  = "10.9.0.1"
	RDMAAddress6 = "fd00:9::1"
)

// SetUpRDMA makes an RDMA device on one end of a virtual cable. What is sent to its
// own addresses, it answers itself.
const SetUpRDMA = `(set -e
	modprobe -a veth rdma_rxe
	[ -e /sys/class/net/rdma0 ] || ip link add rdma0 type veth peer name rdma1
	ip addr replace ` + RDMAAddress + `/24 dev rdma0; ip addr replace ` + RDMAAddress6 + `/64 dev rdma0 nodad
	ip link set rdma0 up; ip link set rdma1 up
	[ -e /sys/class/infiniband/rxe0 ] || rdma link add rxe0 type rxe netdev rdma0
	until grep -q ACTIVE /sys/class/infiniband/rxe0/ports/1/state; do sleep 0.1; done)
`

// fcPorts is how many Fibre Channel ports there may be. The first, port 0, is for
// targets.
const fcPorts = 4

// FCPort is the name (WWPN) of Fibre Channel port n, which is the same after every
// boot.
func FCPort(n int) string { return fmt.Sprintf("20:00:02:00:00:00:fc:%02x", n) }

// SetUpFC makes a fabric without switch (VN2VN) on an Ethernet, which is a bridge
// with a virtual cable for each port, and plugs port 0 in.
func SetUpFC() string {
	return fmt.Sprintf(`(set -e
		modprobe -a veth bridge libfc libfcoe fcoe
		[ -e /sys/class/net/fcbr ] || ip link add fcbr mtu 2500 type bridge
		ip link set fcbr up
		for n in $(seq 0 %d); do
			[ -e /sys/class/net/fc$n ] || ip link add fc$n address 02:00:00:00:fc:0$n mtu 2500 type veth peer name fcbr$n
			ip link set fcbr$n mtu 2500 master fcbr up
			ip link set fc$n up
		done
		%s)
`, fcPorts-1, PlugFC(0))
}

// PlugFC makes Fibre Channel port n, with its cable out until the port is there. A
// kernel takes frames of the fabric while it still makes a port, and if one comes
// then, it follows a NULL pointer: fcoe_interface_create registers for frames,
// fcoe_ctlr_vn_recv looks at fip->lp, and only later _fcoe_create sets that (seen
// with 6.1).
func PlugFC(n int) string {
	return fmt.Sprintf(`grep -qs 0x%s /sys/class/fc_host/*/port_name || {
		ip link set fcbr%[2]d down; printf fc%[2]d > /sys/module/libfcoe/parameters/create_vn2vn; ip link set fcbr%[2]d up
	}
`, strings.ReplaceAll(FCPort(n), ":", ""), n)
}

// UnplugFC takes Fibre Channel port n away, and returns when it is gone.
func UnplugFC(n int) string {
	return fmt.Sprintf(`if grep -qs 0x%s /sys/class/fc_host/*/port_name; then printf fc%d > /sys/module/libfcoe/parameters/destroy; fi
		while grep -qs 0x%[1]s /sys/class/fc_host/*/port_name; do sleep 0.1; done
`, strings.ReplaceAll(FCPort(n), ":", ""), n)
}
