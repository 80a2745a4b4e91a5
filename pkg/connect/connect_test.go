package connect

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	iqn      = "iqn.1993-08.org.debian:01:db-host"
	nqn      = "nqn.2014-08.org.nvmexpress:uuid:4c4c4544-0042-4a10-8052-b3c04f4d5832"
	password = "good password"
	dhchap   = "DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:"
)

// request asks for an Export of one LUN, the second, as a thin volume.
func request(protocol spec.Protocol, target, initiator string, change ...func(*Request)) Request {
	r := Request{
		Export: spec.Export{Metadata: spec.Metadata{Name: "db"}, Spec: spec.ExportSpec{
			Protocol: protocol, Target: target, Portals: []string{"192.0.2.1:3260"}, Initiators: []spec.Initiator{{Name: initiator}},
		}},
		Initiator: initiator,
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")},
		LUNs: []LUN{{
			Object: spec.ID{Kind: spec.KindVolume, Name: "db-data"}, Number: 1, Size: 1 << 30, Discard: true,
			WWN: "naa.60014051111111111111111111111111", UUID: "27597e39-cf89-8b03-9bb6-370ec73df089",
		}},
	}
	for _, f := range change {
		f(&r)
	}
	return r
}

func iscsi(change ...func(*Request)) Request {
	return request(spec.ProtocolISCSI, "iqn.2026-11.org.example:db", iqn, change...)
}

func nvme(protocol spec.Protocol, change ...func(*Request)) Request {
	return request(protocol, "nqn.2026-11.org.example:db", nqn, append([]func(*Request){portals("192.0.2.1:4420", "[2001:db8::1]:4420")}, change...)...)
}

func fc(change ...func(*Request)) Request {
	return request(spec.ProtocolFC, "naa.2100001b32a1b2c3", "naa.2100001b32aaaaaa", change...)
}

func portals(portals ...string) func(*Request) {
	return func(r *Request) { r.Export.Spec.Portals = portals }
}

func multipath(r *Request) { r.Multipath = true }

func showSecrets(r *Request) { r.ShowSecrets = true }

func byTGT(r *Request) { r.FirstLUN = 1 }

func readOnly(r *Request) { r.Export.Spec.Initiators[0].ReadOnly = true }

func asked(as string) func(*Request) { return func(r *Request) { r.Initiator = as } }

func credentials(username, password string) *spec.Credentials {
	return &spec.Credentials{Username: username, Password: spec.NewSecret(password), PasswordFrom: spec.PasswordFrom{File: "/etc/secrets/" + username + "'s"}}
}

func chap(password string) func(*Request) {
	return func(r *Request) {
		r.Export.Spec.Initiators[0].Auth = &spec.Auth{CHAP: credentials("db", password)}
	}
}

func mutual(password string) func(*Request) {
	return func(r *Request) { r.Export.Spec.Initiators[0].Auth.Mutual = credentials("node", password) }
}

func discoveryAuth(r *Request) {
	r.DiscoveryAuth = &spec.Auth{CHAP: credentials("disco", password)}
}

func resolve(r Request) Connection {
	GinkgoHelper()
	c, err := Resolve(r)
	Expect(err).NotTo(HaveOccurred())
	return c
}

var _ = DescribeTable("The connection_info is the whole of",
	func(r Request, want string) {
		got, err := json.Marshal(resolve(r).Infos())
		Expect(err).NotTo(HaveOccurred())
		Expect(got).To(MatchJSON(want))
	},
	Entry("iscsi", iscsi(), `[{"driver_volume_type": "iscsi", "data": {
		"target_discovered": false, "target_portal": "192.0.2.1:3260", "target_iqn": "iqn.2026-11.org.example:db", "target_lun": 1,
		"volume_id": "db-data", "access_mode": "rw", "discard": true, "encrypted": false}}]`),
	Entry("iscsi by tgtd, which counts LUNs from 1", iscsi(byTGT), `[{"driver_volume_type": "iscsi", "data": {
		"target_discovered": false, "target_portal": "192.0.2.1:3260", "target_iqn": "iqn.2026-11.org.example:db", "target_lun": 2,
		"volume_id": "db-data", "access_mode": "rw", "discard": true, "encrypted": false}}]`),
	Entry("iscsi with several portals, but one path", iscsi(portals("[2001:db8::1]:3260", "192.0.2.1:3260")), `[{"driver_volume_type": "iscsi", "data": {
		"target_discovered": false, "target_portal": "[2001:db8::1]:3260", "target_iqn": "iqn.2026-11.org.example:db", "target_lun": 1,
		"volume_id": "db-data", "access_mode": "rw", "discard": true, "encrypted": false}}]`),
	Entry("iscsi with multipath, CHAP and discovery CHAP", iscsi(portals("0.0.0.0:3260", "192.0.2.1:3261"), multipath, chap(password), discoveryAuth), `[{"driver_volume_type": "iscsi", "data": {
		"target_discovered": false, "target_portal": "192.0.2.7:3260", "target_iqn": "iqn.2026-11.org.example:db", "target_lun": 1,
		"target_portals": ["192.0.2.7:3260", "192.0.2.1:3261"], "target_iqns": ["iqn.2026-11.org.example:db", "iqn.2026-11.org.example:db"], "target_luns": [1, 1],
		"auth_method": "CHAP", "auth_username": "db", "auth_password": "<redacted>",
		"discovery_auth_method": "CHAP", "discovery_auth_username": "disco", "discovery_auth_password": "<redacted>",
		"volume_id": "db-data", "access_mode": "rw", "discard": true, "encrypted": false}}]`),
	Entry("iscsi with secrets shown, read-only", iscsi(chap(password), mutual("another good password"), discoveryAuth, showSecrets, readOnly), `[{"driver_volume_type": "iscsi", "data": {
		"target_discovered": false, "target_portal": "192.0.2.1:3260", "target_iqn": "iqn.2026-11.org.example:db", "target_lun": 1,
		"auth_method": "CHAP", "auth_username": "db", "auth_password": "good password",
		"discovery_auth_method": "CHAP", "discovery_auth_username": "disco", "discovery_auth_password": "good password",
		"volume_id": "db-data", "access_mode": "ro", "discard": true, "encrypted": false}}]`),
	Entry("iscsi with two LUNs", iscsi(func(r *Request) {
		r.LUNs = append(r.LUNs, LUN{Object: spec.ID{Kind: spec.KindSnapshot, Name: "nightly"}, Number: 7, UUID: "x", ReadOnly: true})
	}), `[{"driver_volume_type": "iscsi", "data": {
		"target_discovered": false, "target_portal": "192.0.2.1:3260", "target_iqn": "iqn.2026-11.org.example:db", "target_lun": 1,
		"volume_id": "db-data", "access_mode": "rw", "discard": true, "encrypted": false}}, {"driver_volume_type": "iscsi", "data": {
		"target_discovered": false, "target_portal": "192.0.2.1:3260", "target_iqn": "iqn.2026-11.org.example:db", "target_lun": 7,
		"volume_id": "nightly", "access_mode": "ro", "discard": false, "encrypted": false}}]`),
	Entry("iscsi with two LUNs, of which the initiator sees one", iscsi(func(r *Request) {
		r.LUNs = append(r.LUNs, LUN{Object: spec.ID{Kind: spec.KindSnapshot, Name: "nightly"}, Number: 7, UUID: "x", ReadOnly: true})
		r.Export.Spec.Initiators[0].LUNs = []int{7}
	}), `[{"driver_volume_type": "iscsi", "data": {
		"target_discovered": false, "target_portal": "192.0.2.1:3260", "target_iqn": "iqn.2026-11.org.example:db", "target_lun": 7,
		"volume_id": "nightly", "access_mode": "ro", "discard": false, "encrypted": false}}]`),
	Entry("iser", request(spec.ProtocolISER, "iqn.2026-11.org.example:db", iqn, chap(password)), `[{"driver_volume_type": "iser", "data": {
		"target_discovered": false, "target_portal": "192.0.2.1:3260", "target_iqn": "iqn.2026-11.org.example:db", "target_lun": 1,
		"auth_method": "CHAP", "auth_username": "db", "auth_password": "<redacted>",
		"volume_id": "db-data", "access_mode": "rw", "discard": true, "encrypted": false}}]`),
	Entry("nvme-tcp", nvme(spec.ProtocolNVMeTCP), `[{"driver_volume_type": "nvmeof", "data": {
		"nqn": "nqn.2026-11.org.example:db", "target_portal": "192.0.2.1", "target_port": 4420, "transport_type": "tcp",
		"target_nqn": "nqn.2026-11.org.example:db", "portals": [["192.0.2.1", 4420, "tcp"]],
		"vol_uuid": "27597e39-cf89-8b03-9bb6-370ec73df089", "nguid": "27597e39cf898b039bb6370ec73df089", "ns_id": 2,
		"volume_id": "db-data", "access_mode": "rw", "discard": true, "encrypted": false}}]`),
	Entry("nvme-tcp with multipath and a secret", nvme(spec.ProtocolNVMeTCP, multipath, chap(dhchap)), `[{"driver_volume_type": "nvmeof", "data": {
		"target_nqn": "nqn.2026-11.org.example:db", "portals": [["192.0.2.1", 4420, "tcp"], ["2001:db8::1", 4420, "tcp"]],
		"vol_uuid": "27597e39-cf89-8b03-9bb6-370ec73df089", "nguid": "27597e39cf898b039bb6370ec73df089", "ns_id": 2,
		"auth_method": "DH-HMAC-CHAP", "auth_password": "<redacted>",
		"volume_id": "db-data", "access_mode": "rw", "discard": true, "encrypted": false}}]`),
	Entry("nvme-rdma with its secret shown", nvme(spec.ProtocolNVMeRDMA, chap(dhchap), showSecrets, readOnly), `[{"driver_volume_type": "nvmeof", "data": {
		"nqn": "nqn.2026-11.org.example:db", "target_portal": "192.0.2.1", "target_port": 4420, "transport_type": "rdma",
		"target_nqn": "nqn.2026-11.org.example:db", "portals": [["192.0.2.1", 4420, "RoCEv2"]],
		"vol_uuid": "27597e39-cf89-8b03-9bb6-370ec73df089", "nguid": "27597e39cf898b039bb6370ec73df089", "ns_id": 2,
		"auth_method": "DH-HMAC-CHAP", "auth_password": "`+dhchap+`",
		"volume_id": "db-data", "access_mode": "ro", "discard": true, "encrypted": false}}]`),
	Entry("fc, asked with another form of the name", fc(asked("21:00:00:1B:32:AA:AA:AA")), `[{"driver_volume_type": "fibre_channel", "data": {
		"target_discovered": true, "target_lun": 1, "target_wwn": "2100001b32a1b2c3", "initiator_target_map": {"2100001b32aaaaaa": ["2100001b32a1b2c3"]},
		"volume_id": "db-data", "access_mode": "rw", "discard": true, "encrypted": false}}]`),
	Entry("fc with multipath", fc(multipath), `[{"driver_volume_type": "fibre_channel", "data": {
		"target_discovered": true, "target_lun": 1, "target_wwn": ["2100001b32a1b2c3"], "target_wwns": ["2100001b32a1b2c3"], "target_luns": [1],
		"initiator_target_map": {"2100001b32aaaaaa": ["2100001b32a1b2c3"]},
		"volume_id": "db-data", "access_mode": "rw", "discard": true, "encrypted": false}}]`),
)

var _ = Describe("A connection_info", func() {
	It("is of the kind of its protocol", func() {
		requests := map[spec.Protocol]struct {
			Request
			kind string
		}{
			spec.ProtocolISCSI:    {iscsi(), "iscsi"},
			spec.ProtocolISER:     {request(spec.ProtocolISER, "iqn.2026-11.org.example:db", iqn), "iser"},
			spec.ProtocolNVMeTCP:  {nvme(spec.ProtocolNVMeTCP), "nvmeof"},
			spec.ProtocolNVMeRDMA: {nvme(spec.ProtocolNVMeRDMA), "nvmeof"},
			spec.ProtocolFC:       {fc(), "fibre_channel"},
		}
		for _, p := range spec.Protocols() {
			Expect(requests).To(HaveKey(p), "say here what its connection_info is")
			connection, err := Resolve(requests[p].Request)
			Expect(err).NotTo(HaveOccurred())
			Expect(connection.Infos()).To(HaveExactElements(HaveField("DriverVolumeType", requests[p].kind)), "%s", p)
		}
	})
})

var _ = DescribeTable("Portals that serve every address",
	func(listed []string, addresses []string, want ...string) {
		var known []netip.Addr
		for _, a := range addresses {
			known = append(known, netip.MustParseAddr(a))
		}
		got, err := portalsFor(listed, known)
		if len(want) == 0 {
			Expect(err).To(MatchError(ErrNoAddress))
			return
		}
		Expect(err).NotTo(HaveOccurred())
		var texts []string
		for _, portal := range got {
			texts = append(texts, portal.String())
		}
		Expect(texts).To(Equal(want))
	},
	Entry("of IPv4", []string{"0.0.0.0:3260"}, []string{"2001:db8::1", "192.0.2.1", "192.0.2.2"}, "192.0.2.1:3260", "192.0.2.2:3260"),
	Entry("of both families", []string{"[::]:3260"}, []string{"2001:db8::1", "192.0.2.1"}, "[2001:db8::1]:3260", "192.0.2.1:3260"),
	Entry("both ways, each once", []string{"0.0.0.0:3260", "[::]:3260"}, []string{"2001:db8::1", "192.0.2.1"}, "192.0.2.1:3260", "[2001:db8::1]:3260"),
	Entry("beside one that does not", []string{"192.0.2.9:1", "0.0.0.0:3260"}, []string{"192.0.2.1"}, "192.0.2.9:1", "192.0.2.1:3260"),
	Entry("of a family that is not there", []string{"0.0.0.0:3260"}, []string{"2001:db8::1"}),
	Entry("of a node without addresses", []string{"[::]:3260"}, nil),
)

var _ = DescribeTable("An initiator is refused",
	func(r Request, want string) {
		_, err := Resolve(r)
		Expect(err).To(MatchError(want))
	},
	Entry("without a name", iscsi(asked("")), "no initiator is given; Export db lists "+iqn),
	Entry("that is not listed", iscsi(asked(iqn+"2")), iqn+"2 is not allowed to connect to Export db; Export db lists "+iqn),
	Entry("where none is listed", iscsi(func(r *Request) { r.Export.Spec.Initiators = nil }),
		iqn+" is not allowed to connect to Export db; Export db lists no initiator; add it under spec.initiators"),
	Entry("with a malformed IQN", iscsi(asked("db-host")), `the initiator "db-host" is not an initiator name; write iqn.YYYY-MM.<domain, reversed>:<name>, `+
		"eui.<16 hexadecimal digits> or naa.<16 hexadecimal digits>, exactly as the initiator sends it (Linux: /etc/iscsi/initiatorname.iscsi); Export db lists "+iqn),
	Entry("with an IQN where an NQN is due", nvme(spec.ProtocolNVMeTCP, asked(iqn)), `the initiator "`+iqn+`" is not an NVMe host name; `+
		"write nqn.YYYY-MM.<domain, reversed>:<name> or nqn.2014-08.org.nvmexpress:uuid:<UUID>, as in the host's /etc/nvme/hostnqn; Export db lists "+nqn),
	Entry("with a malformed WWPN", fc(asked("2100")), `the initiator "2100" is not a port name; write a WWPN of 16 hexadecimal digits, for example naa.2100001b32a1b2c3, `+
		"0x2100001b32a1b2c3 or 21:00:00:1b:32:a1:b2:c3; Export db lists naa.2100001b32aaaaaa"),
	Entry("with a malformed name where any may connect", iscsi(asked("x"), func(r *Request) {
		r.Export.Spec.AllowAnyInitiator, r.Export.Spec.Initiators = true, nil
	}), `the initiator "x" is not an initiator name; write iqn.YYYY-MM.<domain, reversed>:<name>, `+
		"eui.<16 hexadecimal digits> or naa.<16 hexadecimal digits>, exactly as the initiator sends it (Linux: /etc/iscsi/initiatorname.iscsi); any initiator with a well-formed name may connect to Export db"),
	Entry("while a volume is not there", iscsi(func(r *Request) { r.LUNs[0].UUID = "" }),
		"Volume/db-data is not on the node, so initiators cannot connect to Export db"),
	Entry("while several are not there", iscsi(func(r *Request) {
		r.LUNs = append(r.LUNs, LUN{Object: spec.ID{Kind: spec.KindSnapshot, Name: "nightly"}})
		r.LUNs[0].UUID = ""
	}), "Volume/db-data and Snapshot/nightly are not on the node, so initiators cannot connect to Export db"),
	Entry("with nothing to see", iscsi(func(r *Request) { r.LUNs = nil }), iqn+" has no LUNs in Export db; list some under spec.initiators"),
)

var _ = Describe("Any initiator", func() {
	It("may connect to an Export that says so", func() {
		c := resolve(iscsi(func(r *Request) { r.Export.Spec.AllowAnyInitiator, r.Export.Spec.Initiators = true, nil }))
		Expect(c.Infos()).To(HaveLen(1))
		Expect(c.HasPassword()).To(BeFalse())
	})
})

var _ = DescribeTable("What is in memory shows no password when it is printed",
	func(verb string) {
		c := resolve(iscsi(chap(password), mutual(password), discoveryAuth, showSecrets))
		data, ok := c.Infos()[0].Data.(ISCSIData)
		Expect(ok).To(BeTrue())
		for _, value := range []any{c, &c, c.Infos(), data, data.AuthPassword, *data.AuthPassword} {
			Expect(fmt.Sprintf(verb, value)).NotTo(Or(ContainSubstring(password), ContainSubstring(hex.EncodeToString([]byte(password)))))
		}
	},
	Entry(nil, "%v"), Entry(nil, "%+v"), Entry(nil, "%#v"), Entry(nil, "%s"), Entry(nil, "%x"), Entry(nil, "%q"),
)

// scripts are all the scripts of these tests.
func scripts() map[string]Request {
	return map[string]Request{
		"iscsi": iscsi(), "iscsi, CHAP": iscsi(chap(password), mutual("another good password")),
		"iscsi, multipath": iscsi(portals("[::]:3260"), multipath, chap(password)),
		"iser":             request(spec.ProtocolISER, "iqn.2026-11.org.example:db", iqn, chap(password)),
		"nvme":             nvme(spec.ProtocolNVMeTCP), "nvme, rdma": nvme(spec.ProtocolNVMeRDMA, multipath),
		"nvme, secret": nvme(spec.ProtocolNVMeTCP, chap(dhchap), mutual(dhchap+"2")), "fc": fc(),
	}
}

var _ = Describe("A script", func() {
	It("holds no password unless it is asked for", func() {
		for name, r := range scripts() {
			for _, secret := range []string{password, "DHHC-1:0"} {
				Expect(resolve(r).Script()).NotTo(ContainSubstring(secret), name)
			}
		}
		Expect(resolve(iscsi(chap("it's $(good)"), showSecrets)).Script()).To(ContainSubstring("\npassword='it'\\''s $(good)'\n"))
	})
	It("is one for a POSIX shell, with secrets or without", func(ctx SpecContext) {
		for name, r := range scripts() {
			for _, r.ShowSecrets = range []bool{false, true} {
				cmd := exec.CommandContext(ctx, "sh", "-n")
				cmd.Stdin = strings.NewReader(resolve(r).Script())
				out, err := cmd.CombinedOutput()
				Expect(err).NotTo(HaveOccurred(), "%s: %s", name, out)
			}
		}
	})
	It("has the commands for each portal", func() {
		Expect(resolve(iscsi()).Script()).To(HaveSuffix(`failed=
iscsiadm -m node -T iqn.2026-11.org.example:db -p 192.0.2.1:3260,1 -I default >/dev/null 2>&1 ||
	iscsiadm -m node -T iqn.2026-11.org.example:db -p 192.0.2.1:3260,1 -I default -o new
iscsiadm -m node -T iqn.2026-11.org.example:db -p 192.0.2.1:3260,1 -I default -o update -n node.session.auth.authmethod -v None
if iscsiadm -m node -T iqn.2026-11.org.example:db -p 192.0.2.1:3260,1 -I default --login || [ $? -eq 15 ]; then # 15: logged in already
	iscsiadm -m node -T iqn.2026-11.org.example:db -p 192.0.2.1:3260,1 -I default --rescan
else
	failed="$failed 192.0.2.1:3260"
fi

[ -z "$failed" ] || { echo "cannot connect to$failed" >&2; exit 1; }
`))
		Expect(resolve(scripts()["iscsi, multipath"]).Script()).To(And(
			ContainSubstring("\nset_auth iqn.2026-11.org.example:db/192.0.2.7,3260,1/default authmethod CHAP username db password \"$password\"\n"),
			ContainSubstring("\nset_auth iqn.2026-11.org.example:db/2001:db8::7,3260,1/default authmethod"),
			ContainSubstring("-p '[2001:db8::7]:3260,1' -I default --login"),
		))
		Expect(resolve(scripts()["iser"]).Script()).To(ContainSubstring("-I iser --login"))
		Expect(resolve(scripts()["nvme"]).Script()).To(HaveSuffix(`failed=
connected tcp nqn.2026-11.org.example:db ` + nqn + ` 192.0.2.1 4420 ||
	nvme connect -t tcp -n nqn.2026-11.org.example:db -a 192.0.2.1 -s 4420 -q ` + nqn + ` ||
	failed="$failed 192.0.2.1:4420"
[ -z "$failed" ] || { echo "cannot connect to$failed" >&2; exit 1; }
`))
		Expect(resolve(scripts()["nvme, secret"]).Script()).To(ContainSubstring(
			"\tprintf %s 'transport=tcp,nqn=nqn.2026-11.org.example:db,traddr=192.0.2.1,trsvcid=4420,hostnqn=" + nqn +
				",hostid='\"$hostid\",dhchap_secret=\"$secret\",dhchap_ctrl_secret=\"$controller_secret\" >/dev/nvme-fabrics ||\n"))
		Expect(resolve(scripts()["fc"]).Script()).To(And(
			ContainSubstring(`= 0x2100001b32aaaaaa ] || continue`), ContainSubstring(`echo '- - 1' >"/sys/class/scsi_host/${host##*/}/scan"`)))
	})
	It("names the devices", func() {
		Expect(resolve(iscsi(readOnly)).Script()).To(ContainSubstring(
			"\n# LUN 1: Volume/db-data, 1073741824 bytes, read-only: /dev/disk/by-id/wwn-0x60014051111111111111111111111111\n"))
		Expect(resolve(nvme(spec.ProtocolNVMeTCP)).Script()).To(ContainSubstring(
			"\n# Namespace 2: Volume/db-data, 1073741824 bytes, read-write: /dev/disk/by-id/nvme-uuid.27597e39-cf89-8b03-9bb6-370ec73df089\n"))
	})
	It("keeps every name to one word, and to its comment", func(ctx SpecContext) {
		for _, text := range []string{
			"", "plain", "a b", "it's", `"`, "$(id)", "`id`", `\`, "a\nb", "*", "~", "#", "[::1]:3260", "-n", "ümläut", "a'b'c", "!", "x;y&z|", "{a,b}", "=x",
		} {
			out, err := exec.CommandContext(ctx, "sh", "-c", "printf %s. "+quote(text)).Output()
			Expect(err).NotTo(HaveOccurred())
			Expect(string(out)).To(Equal(text + "."))
		}
		evil := iscsi(func(r *Request) { r.Export.Spec.Target = "x\nid #'" })
		Expect(resolve(evil).Script()).To(ContainSubstring("(x?id #'). Run it"))
	})
})
