package specdoc

import (
	"fmt"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// attributeMeanings are the meanings of [spec.Attributes].
var attributeMeanings = map[string]string{
	"default_cmdsn_depth":     "How many commands an initiator may have under way. It applies to initiators that are admitted afterwards.",
	"default_erl":             "The error recovery level that the portal group supports.",
	"login_timeout":           "Seconds that an initiator has to log in.",
	"login_keys_workaround":   "`1`: answers to some login keys are optional, which network boot clients need.",
	"tpg_enabled_sendtargets": "`1`: discovery lists the target.",

	"MaxRecvDataSegmentLength": "How many bytes of data the target accepts in one PDU.",
	"MaxXmitDataSegmentLength": "How many bytes of data the target sends in one PDU.",
	"FirstBurstLength":         "How many bytes an initiator may send with a command before the target asks for them.",
	"MaxBurstLength":           "How many bytes of data one sequence may have.",
	"ImmediateData":            "`Yes`: a write command may carry data itself.",
	"InitialR2T":               "`Yes`: an initiator sends data only after the target asked for it.",
	"MaxOutstandingR2T":        "How many requests for data one command may have under way.",
	"HeaderDigest":             "Checksums of the headers of PDUs, the preferred one first.",
	"DataDigest":               "Checksums of the data of PDUs, the preferred one first.",
	"DefaultTime2Wait":         "Seconds to wait before a lost connection is resumed.",
	"DefaultTime2Retain":       "Seconds for which commands of a lost connection are kept.",
	"ErrorRecoveryLevel":       "The highest error recovery level that is negotiated.",
	"MaxConnections":           "How many connections a session may have.",

	"queue_depth":                "How many commands the device accepts at once. It is set while no initiator is connected.",
	"optimal_sectors":            "The length of a transfer that is recommended to initiators, in sectors. It is set while no initiator is connected.",
	"emulate_tas":                "`1`: a command that another initiator aborted ends with TASK ABORTED. It is set while no initiator is connected.",
	"emulate_ua_intlck_ctrl":     "How unit attentions are interlocked (UA_INTLCK_CTRL of SPC). It is set while no initiator is connected.",
	"emulate_caw":                "`1`: COMPARE AND WRITE is supported.",
	"emulate_3pc":                "`1`: EXTENDED COPY is supported.",
	"emulate_pr":                 "`1`: reservations are supported.",
	"emulate_rest_reord":         "`1`: the disk reports that it does not reorder commands.",
	"is_nonrot":                  "`1`: the disk is shown as one that does not rotate.",
	"max_unmap_lba_count":        "How many blocks one UNMAP may discard.",
	"max_unmap_block_desc_count": "How many ranges one UNMAP may have.",
	"unmap_granularity":          "The unit in which discards have an effect, in blocks.",
	"max_write_same_len":         "How many blocks one WRITE SAME may write.",
}

// attributeDocs are the texts of [spec.Attributes], which has their ranges and defaults.
func attributeDocs(path string) docs {
	texts := docs{}
	for name, a := range spec.Attributes {
		values := &Values{Enum: a.Values}
		example := values.first()
		if a.Values == nil {
			values = &Values{Text: fmt.Sprintf("`%d` to `%d`, in quotes", a.Min, a.Max), Pattern: "^(0|[1-9][0-9]*)$"}
			example = fmt.Sprint(max(a.Min, 1))
		}
		d := Doc{Meaning: attributeMeanings[name], Default: "the device's", Values: values, Example: `"` + example + `"`, See: "Attributes"}
		if a.Default != "" {
			d.Default = "`" + a.Default + "`"
		}
		if d.Meaning != "" && a.Place != spec.BackstoreAttrib {
			d.Meaning += " Only for iSCSI and iSER."
		}
		texts[path+name] = d
	}
	return texts
}

// first returns one of the values of an enumeration.
func (v *Values) first() string {
	if len(v.Enum) == 0 {
		return ""
	}
	return v.Enum[0]
}
