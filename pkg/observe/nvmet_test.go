package observe

import (
	"errors"
	"io/fs"
	"net/netip"
	"path"
	"strings"
	"syscall"
	"testing/fstest"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	nvmeHost = "nqn.2014-08.org.nvmexpress:uuid:11111111-1111-4111-8111-111111111111"
	nvmeDB   = "nqn.2026-01.org.example:db"
	nvmeKey  = "DHHC-1:00:c2VjcmV0IG9mIHRoZSBmaXJzdCBob3N0LCB3aGljaCBubyBvbmUgc2Vlcw==:"
)

// nvmetFiles is a machine with the files of a listing: lines of PATH CONTENT below
// nvmet's directory. A path that ends with a slash is a directory, and a content
// that begins with -> is where a symlink leads.
func nvmetFiles(listing string) *recordedFiles {
	tree := fstest.MapFS{}
	for line := range strings.Lines(listing) {
		name, content, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" {
			continue
		}
		file := strings.TrimPrefix(name, "/")
		if !path.IsAbs(name) {
			file = path.Join(NVMetDir, name)[1:]
		}
		switch target, isLink := strings.CutPrefix(content, "->"); {
		case isLink:
			tree[file] = &fstest.MapFile{Mode: fs.ModeSymlink | 0o777, Data: []byte(target)}
		case strings.HasSuffix(name, "/"):
			tree[strings.TrimSuffix(file, "/")] = &fstest.MapFile{Mode: fs.ModeDir | 0o755}
		default:
			tree[file] = &fstest.MapFile{Mode: 0o644, Data: []byte(content + "\n")}
		}
	}
	return &recordedFiles{tree: tree, failures: map[string][]error{}}
}

// shared are a subsystem of ours, one of somebody else on the same port, and a
// shell.
var shared = `
hosts/` + nvmeHost + `/dhchap_key ` + nvmeKey + `
hosts/` + nvmeHost + `/dhchap_ctrl_key
hosts/second/dhchap_key (null)
hosts/second/dhchap_ctrl_key (null)
ports/1/addr_trtype loop
ports/1/addr_traddr
ports/1/addr_trsvcid
ports/1/subsystems/any-name ->../../../../nvmet/subsystems/` + nvmeDB + `
ports/9000/addr_trtype tcp
ports/9000/addr_traddr 2001:DB8:0::1
ports/9000/addr_trsvcid 4420
ports/9000/subsystems/` + nvmeDB + ` ->../../../../nvmet/subsystems/` + nvmeDB + `
ports/9000/subsystems/nqn.x:foreign ->../../../../nvmet/subsystems/nqn.x:foreign
ports/9001/addr_trtype
ports/9001/addr_traddr
ports/9001/addr_trsvcid
ports/9001/subsystems/
subsystems/` + nvmeDB + `/attr_model volreconciler
subsystems/` + nvmeDB + `/attr_serial ` + ondisk.SubsystemSerial(nvmeDB, "db") + `
subsystems/` + nvmeDB + `/attr_allow_any_host 0
subsystems/` + nvmeDB + `/allowed_hosts/any ->../../../../nvmet/hosts/` + nvmeHost + `
subsystems/` + nvmeDB + `/allowed_hosts/second ->../../../../nvmet/hosts/second
subsystems/` + nvmeDB + `/namespaces/1/enable 1
subsystems/` + nvmeDB + `/namespaces/1/device_path /dev/vg0/db
subsystems/` + nvmeDB + `/namespaces/1/device_uuid 0a1b2c3d-1111-8222-b333-444455556666
subsystems/` + nvmeDB + `/namespaces/1/device_nguid 0a1b2c3d-1111-8222-b333-444455556666
subsystems/` + nvmeDB + `/namespaces/8/enable 0
subsystems/` + nvmeDB + `/namespaces/8/device_path (null)
subsystems/` + nvmeDB + `/namespaces/8/device_uuid 0a1b2c3d-1111-8222-b333-444455556666
subsystems/` + nvmeDB + `/namespaces/8/device_nguid 00000000-0000-0000-0000-000000000000
subsystems/nqn.x:foreign/attr_model Linux
subsystems/nqn.x:foreign/allowed_hosts/` + nvmeHost + ` ->../../../../nvmet/hosts/` + nvmeHost + `
subsystems/nqn.x:foreign/namespaces/
subsystems/nqn.x:shell/attr_model Linux
subsystems/nqn.x:shell/allowed_hosts/
subsystems/nqn.x:shell/namespaces/
`

var _ = Describe("reading nvmet", func() {
	It("finds nothing where it is not loaded", func() {
		Expect(readNVMet(nvmetFiles(""))).To(BeEmpty())
	})

	It("does not take it for empty where configfs is not mounted", func() {
		_, err := readNVMet(nvmetFiles("/sys/module/nvmet/refcnt 0"))
		Expect(err).To(MatchError(ContainSubstring("configfs is not mounted on /sys/kernel/config")))
	})

	It("finds subsystems, and what they share", func() {
		all, err := readNVMet(nvmetFiles(shared))
		Expect(err).NotTo(HaveOccurred())
		Expect(all).To(HaveLen(3))
		Expect(all[nvmeDB]).To(Equal(Target{
			Fabric: NVMe, Name: nvmeDB, HasTPG: true, Enabled: true, Mark: "volreconciler:db", Sessions: -1,
			Portals: map[string]Transport{"[2001:db8::1]:4420": TCP, "loop port 1": "loop"},
			LUNs: map[int]TargetLUN{
				0: {Device: "/dev/vg0/db", Identity: "0a1b2c3d-1111-8222-b333-444455556666"},
				7: {Identity: "0a1b2c3d-1111-8222-b333-444455556666 nguid 00000000-0000-0000-0000-000000000000"},
			},
			ACLs: map[string]ACL{
				nvmeHost: {Initiator: nvmeHost, Authentication: "1", Auth: CHAP{Password: spec.NewSecret(nvmeKey)}},
				"second": {Initiator: "second", Authentication: "0"},
			},
		}))
		foreign, shell := all["nqn.x:foreign"], all["nqn.x:shell"]
		Expect(foreign.Mark).To(BeEmpty())
		Expect(foreign.Empty()).To(BeFalse())
		Expect(foreign.ACLs).To(Equal(map[string]ACL{nvmeHost: {Initiator: nvmeHost}}), "its keys are nobody's business")
		Expect(shell.Empty()).To(BeTrue())
	})

	It("knows a subsystem by its serial number where its NQN does not end with the export's name", func() {
		serial := ondisk.SubsystemSerial(nvmeDB, "another")
		all, err := readNVMet(nvmetFiles(strings.ReplaceAll(shared, ondisk.SubsystemSerial(nvmeDB, "db"), serial)))
		Expect(err).NotTo(HaveOccurred())
		Expect(all[nvmeDB].Mark).To(Equal(ondisk.TargetMark(serial)))
		for _, likely := range []map[string][]string{nil, {nvmeDB: {"db", "another"}}, {nvmeDB: {"db"}}} {
			s := State{NVMe: all}.WithOwners([]string{"db", "another"}, likely)
			Expect(s.NVMe[nvmeDB].Mark).To(Equal(ondisk.TargetMark("another")))
		}
	})

	It("finds hosts without keys where the kernel knows none", func() {
		files := nvmetFiles(shared)
		for file := range files.tree {
			if strings.Contains(file, "dhchap") {
				delete(files.tree, file)
			}
		}
		files.tree["sys/kernel/config/nvmet/hosts/"+nvmeHost] = &fstest.MapFile{Mode: fs.ModeDir}
		files.tree["sys/kernel/config/nvmet/hosts/second"] = &fstest.MapFile{Mode: fs.ModeDir}
		all, err := readNVMet(files)
		Expect(err).NotTo(HaveOccurred())
		Expect(all[nvmeDB].ACLs[nvmeHost]).To(Equal(ACL{Initiator: nvmeHost, Authentication: "0"}))
	})

	It("knows nothing if anything cannot be read", func() {
		for _, name := range []string{
			SubsystemsDir, PortsDir, AllowedHostsDir(nvmeDB), NamespacesDir("nqn.x:foreign"), PortDir("1") + "/addr_trtype",
			HostDir(nvmeHost) + "/dhchap_key", SubsystemDir(nvmeDB) + "/attr_allow_any_host", SubsystemDir("nqn.x:shell") + "/attr_model",
		} {
			files := nvmetFiles(shared)
			files.failures[name] = []error{syscall.EIO, syscall.EIO, syscall.EIO}
			all, err := readNVMet(files)
			Expect(errors.Is(err, syscall.EIO)).To(BeTrue(), "%s: %v", name, err)
			Expect(all).To(BeNil())
		}
	})

	It("leaves out what is gone meanwhile", func() {
		files := nvmetFiles(shared)
		files.removeWhenRead, files.remove = NamespacesDir("nqn.x:shell"), SubsystemDir("nqn.x:shell")
		all, err := readNVMet(files)
		Expect(err).NotTo(HaveOccurred())
		Expect(all).To(HaveLen(2))
	})

	It("finds who is connected where the kernel says it", func() {
		all, err := readNVMet(nvmetFiles(shared + `
/sys/kernel/debug/nvmet/` + nvmeDB + `/ctrl1/hostnqn ` + nvmeHost + `
/sys/kernel/debug/nvmet/` + nvmeDB + `/ctrl2/hostnqn nqn.x:stranger
/sys/kernel/debug/nvmet/nqn.2014-08.org.nvmexpress.discovery/ctrl3/hostnqn second
`))
		Expect(err).NotTo(HaveOccurred())
		t := all[nvmeDB]
		Expect(t.ACLs[nvmeHost].LoggedIn).To(BeTrue())
		Expect(t.ACLs["second"].LoggedIn).To(BeFalse())
		Expect(t.DynamicSessions).To(HaveExactElements("nqn.x:stranger"))
		Expect(t.Sessions).To(Equal(2))
		Expect(t.Unattributed).To(BeEmpty())
	})

	It("finds their addresses where it does not", func() {
		files := nvmetFiles(shared)
		files.tree["proc/net/tcp6"] = &fstest.MapFile{Data: []byte(`  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: B80D0120000000000000000001000000:1144 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 224005 1 000000003faad5ae 100 0 0 10 0
   1: B80D0120000000000000000001000000:1144 B80D0120000000000000000002000000:A2B4 01 00000000:00000000 00:00000000 00000000     0        0 224005 1 000000003faad5ae 100 0 0 10 0
   2: B80D0120000000000000000001000000:1144 B80D0120000000000000000002000000:A2B6 01 00000000:00000000 00:00000000 00000000     0        0 224005 1 000000003faad5ae 100 0 0 10 0
`)}
		all, err := readNVMet(files)
		Expect(err).NotTo(HaveOccurred())
		Expect(all[nvmeDB].Unattributed).To(HaveExactElements("2001:db8::2"))
		Expect(all["nqn.x:foreign"].Unattributed).To(BeEmpty())
	})

	DescribeTable("takes peers with several connections for sessions",
		func(port string, want []string, connections ...string) {
			ports := []NVMePort{{ID: "9000", Transport: TCP, Address: netip.MustParseAddrPort(port)}}
			var sockets []Socket
			for _, c := range connections {
				local, remote, _ := strings.Cut(c, " ")
				sockets = append(sockets, Socket{Local: netip.MustParseAddrPort(local), Remote: netip.MustParseAddrPort(remote)})
			}
			Expect(peersOf(ports, sockets)).To(HaveExactElements(want))
		},
		Entry("its queues", "10.0.0.1:4420", []string{"10.0.0.2"}, "10.0.0.1:4420 10.0.0.2:40000", "10.0.0.1:4420 10.0.0.2:40001"),
		Entry("discovery", "10.0.0.1:4420", nil, "10.0.0.1:4420 10.0.0.2:40000", "10.0.0.1:4420 10.0.0.3:40000"),
		Entry("its own side", "10.0.0.1:4420", nil, "10.0.0.1:40000 10.0.0.1:4420", "10.0.0.1:40001 10.0.0.1:4420"),
		Entry("another port", "10.0.0.1:4420", nil, "10.0.0.1:3260 10.0.0.2:40000", "10.0.0.1:3260 10.0.0.2:40001"),
		Entry("any address", "[::]:4420", []string{"10.0.0.2"}, "[::ffff:10.0.0.1]:4420 [::ffff:10.0.0.2]:40000", "[::ffff:10.0.0.1]:4420 [::ffff:10.0.0.2]:40001"),
		Entry("a link-local one", "[fe80::1%eth0]:4420", []string{"fe80::2"}, "[fe80::1]:4420 [fe80::2]:40000", "[fe80::1]:4420 [fe80::2]:40001"),
	)
})
