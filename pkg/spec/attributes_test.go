package spec_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = DescribeTable("the attributes of an Export",
	func(protocol, name, value, want string) {
		text := "apiVersion: volreconciler/v1alpha1\nkind: Export\nmetadata: {name: db}\nspec:\n  protocol: " + protocol + "\n" +
			"  luns: [{volume: data}]\n  attributes: {" + name + ": \"" + value + "\"}\n"
		if protocol == "fc" {
			text += "  target: naa.2000525400123456\n  initiators: [{name: naa.2000525400abcdef}]\n"
		} else {
			text += "  allowAnyInitiator: true\n"
		}
		text += "---\napiVersion: volreconciler/v1alpha1\nkind: Volume\nmetadata: {name: data}\nspec: {pool: p, size: 1Gi}\n" +
			"---\napiVersion: volreconciler/v1alpha1\nkind: Pool\nmetadata: {name: p}\nspec: {volumeGroup: vg0}\n"
		var found []string
		for _, f := range loadText(text).Findings {
			found = append(found, f.Path+": "+f.Err.Error())
		}
		if want == "" {
			Expect(found).To(BeEmpty())
			return
		}
		Expect(found).To(ConsistOf(HavePrefix("spec.attributes[" + name + "]" + ": " + want)))
	},
	Entry("a number", "iscsi", "login_timeout", "30", ""),
	Entry("too large", "iscsi", "login_timeout", "31", `value "31" is not allowed; write a number from 5 to 30`),
	Entry("not as the kernel shows it", "iscsi", "MaxBurstLength", "0x8000", `value "0x8000" is not allowed; write a number`),
	Entry("with a zero before it", "iscsi", "MaxBurstLength", "08192", `value "08192" is not allowed; write a number`),
	Entry("a word", "iser", "InitialR2T", "No", ""),
	Entry("another word", "iser", "InitialR2T", "no", `value "no" is not allowed (allowed: Yes; No)`),
	Entry("a list", "iscsi", "HeaderDigest", "CRC32C,None", ""),
	Entry("of a backstore", "fc", "queue_depth", "128", ""),
	Entry("of iSCSI", "fc", "login_timeout", "30", "is an attribute of iSCSI; not supported with protocol fc"),
	Entry("of SCSI", "nvme-tcp", "queue_depth", "128", "is an attribute of SCSI targets; not supported with protocol nvme-tcp"),
	Entry("mistyped", "iscsi", "login_timout", "30", "unknown attribute"),
	Entry("who gets in", "iscsi", "generate_node_acls", "1", "cannot be set: access is set by"),
	Entry("the write cache", "iscsi", "emulate_write_cache", "1", "cannot be set: the kernel reads it"),
)
