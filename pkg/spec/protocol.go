package spec

// Protocol is how an Export is reached.
type Protocol string

// The protocols.
const (
	ProtocolISCSI    Protocol = "iscsi"     // SCSI over TCP
	ProtocolISER     Protocol = "iser"      // iSCSI with its data over RDMA
	ProtocolNVMeTCP  Protocol = "nvme-tcp"  // NVMe over TCP
	ProtocolNVMeRDMA Protocol = "nvme-rdma" // NVMe over RDMA
	ProtocolFC       Protocol = "fc"        // SCSI over Fibre Channel
)
