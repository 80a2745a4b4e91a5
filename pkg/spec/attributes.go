package spec

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// AttributePlace is where the kernel keeps an attribute.
type AttributePlace string

// The places of attributes.
const (
	// TargetAttrib is attrib/ of the portal group, TargetParam param/: what is
	// negotiated with an initiator when it logs in. They are iSCSI's.
	TargetAttrib AttributePlace = "attrib"
	TargetParam  AttributePlace = "param"
	// BackstoreAttrib is attrib/ of the backstore, which all exports of a volume
	// share.
	BackstoreAttrib AttributePlace = "backstore"
)

// Attribute is a setting of the kernel's SCSI target that an Export may have.
type Attribute struct {
	Place AttributePlace
	// Min and Max are the range of a number, if Values are none.
	Min, Max uint64
	// Values are those that are allowed, if it is no number.
	Values []string
	// Default is the kernel's; empty: it follows from the device.
	Default string
	// Unexported is true if the kernel changes it only while no LUN is linked to
	// the backstore.
	Unexported bool
}

var (
	onOff  = []string{"0", "1"}
	yesNo  = []string{"Yes", "No"}
	digest = []string{"None", "CRC32C", "CRC32C,None", "None,CRC32C"}
)

const (
	maxUint24 = 1<<24 - 1
	maxUint32 = 1<<32 - 1
)

// Attributes are the attributes that an Export may set, by the kernel's names. Their
// ranges and defaults are in drivers/target/iscsi/iscsi_target_tpg.c and
// iscsi_target_core.h (attrib), iscsi_target_parameters.c and .h (param), and
// drivers/target/target_core_configfs.c and target_core_device.c (backstore).
var Attributes = map[string]Attribute{
	// How many commands an initiator may have under way. It counts for those that
	// are admitted after it was set.
	"default_cmdsn_depth": {Place: TargetAttrib, Min: 1, Max: 512, Default: "64"},
	"default_erl":         {Place: TargetAttrib, Min: 0, Max: 2, Default: "0"},
	// Seconds that an initiator has to log in.
	"login_timeout":           {Place: TargetAttrib, Min: 5, Max: 30, Default: "15"},
	"login_keys_workaround":   {Place: TargetAttrib, Values: onOff, Default: "1"},
	"tpg_enabled_sendtargets": {Place: TargetAttrib, Values: onOff, Default: "1"},

	"MaxRecvDataSegmentLength": {Place: TargetParam, Min: 512, Max: maxUint24, Default: "8192"},
	"MaxXmitDataSegmentLength": {Place: TargetParam, Min: 512, Max: maxUint24, Default: "262144"},
	"FirstBurstLength":         {Place: TargetParam, Min: 512, Max: maxUint24, Default: "65536"},
	"MaxBurstLength":           {Place: TargetParam, Min: 512, Max: maxUint24, Default: "262144"},
	"ImmediateData":            {Place: TargetParam, Values: yesNo, Default: "Yes"},
	"InitialR2T":               {Place: TargetParam, Values: yesNo, Default: "Yes"},
	"MaxOutstandingR2T":        {Place: TargetParam, Min: 1, Max: 65535, Default: "1"},
	"HeaderDigest":             {Place: TargetParam, Values: digest, Default: "CRC32C,None"},
	"DataDigest":               {Place: TargetParam, Values: digest, Default: "CRC32C,None"},
	"DefaultTime2Wait":         {Place: TargetParam, Min: 0, Max: 3600, Default: "2"},
	"DefaultTime2Retain":       {Place: TargetParam, Min: 0, Max: 3600, Default: "20"},
	"ErrorRecoveryLevel":       {Place: TargetParam, Min: 0, Max: 2, Default: "0"},
	"MaxConnections":           {Place: TargetParam, Min: 1, Max: 65535, Default: "1"},

	"queue_depth":                {Place: BackstoreAttrib, Min: 1, Max: maxUint32, Unexported: true},
	"optimal_sectors":            {Place: BackstoreAttrib, Min: 1, Max: maxUint32, Unexported: true},
	"emulate_tas":                {Place: BackstoreAttrib, Values: onOff, Default: "1", Unexported: true},
	"emulate_ua_intlck_ctrl":     {Place: BackstoreAttrib, Min: 0, Max: 2, Default: "0", Unexported: true},
	"emulate_caw":                {Place: BackstoreAttrib, Values: onOff, Default: "1"},
	"emulate_3pc":                {Place: BackstoreAttrib, Values: onOff, Default: "1"},
	"emulate_pr":                 {Place: BackstoreAttrib, Values: onOff, Default: "1"},
	"emulate_rest_reord":         {Place: BackstoreAttrib, Values: onOff, Default: "0"},
	"is_nonrot":                  {Place: BackstoreAttrib, Values: onOff},
	"max_unmap_lba_count":        {Place: BackstoreAttrib, Min: 1, Max: maxUint32},
	"max_unmap_block_desc_count": {Place: BackstoreAttrib, Min: 1, Max: maxUint32},
	"unmap_granularity":          {Place: BackstoreAttrib, Min: 0, Max: maxUint32},
	"max_write_same_len":         {Place: BackstoreAttrib, Min: 0, Max: maxUint32},
}

// refusedAttributes are those of the kernel that an Export cannot set, and why.
var refusedAttributes = map[string]string{
	"authentication":          whoGetsIn,
	"AuthMethod":              whoGetsIn,
	"generate_node_acls":      whoGetsIn,
	"cache_dynamic_acls":      whoGetsIn,
	"demo_mode_discovery":     whoGetsIn,
	"demo_mode_login_only":    whoGetsIn,
	"demo_mode_write_protect": whoGetsIn,
	"prod_mode_write_protect": "write access is set by readOnly",
	"TargetAlias":             "volreconciler marks its targets with it",
	"emulate_write_cache":     "the kernel reads it from the device",
	"emulate_fua_write":       "the kernel reads it from the device",
	"emulate_tpu":             "it is derived from the Pool and the device's capabilities",
	"emulate_tpws":            "it is derived from the Pool and the device's capabilities",
	"block_size":              "it is the device's; with another block size initiators could not read their data",
	"vpd_unit_serial":         "it is derived from the volume, so that initiators recognize the LUN",
}

const whoGetsIn = "access is set by initiators and allowAnyInitiator"

// attributes checks the attributes of an Export.
func (v *validation) attributes(s ExportSpec) {
	for _, name := range slices.Sorted(maps.Keys(s.Attributes)) {
		v.check(entryPath("spec.attributes", name), checkAttribute(s.Protocol, name, s.Attributes[name]))
	}
}

func checkAttribute(p Protocol, name, value string) error {
	if why, refused := refusedAttributes[name]; refused {
		return fmt.Errorf("cannot be set: %s", why)
	}
	a, known := Attributes[name]
	isISCSI := p == ProtocolISCSI || p == ProtocolISER
	switch {
	case !known:
		names := slices.Sorted(maps.Keys(Attributes))
		return fmt.Errorf("unknown attribute%s (allowed: %s)", suggest(name, names), strings.Join(names, ", "))
	case p.IsNVMe():
		return fmt.Errorf("is an attribute of SCSI targets; not supported with protocol %s", p)
	case !isISCSI && a.Place != BackstoreAttrib:
		return fmt.Errorf("is an attribute of iSCSI; not supported with protocol %s", p)
	default:
		return a.check(value)
	}
}

// check checks a value. A number must be in the form in which the kernel shows it,
// because it is compared with that.
func (a Attribute) check(value string) error {
	if a.Values != nil {
		if !slices.Contains(a.Values, value) {
			return fmt.Errorf("value %s is not allowed (allowed: %s)", quote(value), strings.Join(a.Values, "; "))
		}
		return nil
	}
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != value || n < a.Min || n > a.Max {
		return fmt.Errorf("value %s is not allowed; write a number from %d to %d", quote(value), a.Min, a.Max)
	}
	return nil
}

// Names returns the names of all attributes in a place, sorted. The list must not be
// changed.
func (p AttributePlace) Names() []string { return slices.Clip(namesIn()[p]) }

// namesIn are the names by place: they are asked for of every volume.
var namesIn = sync.OnceValue(func() map[AttributePlace][]string {
	names := map[AttributePlace][]string{}
	for _, name := range slices.Sorted(maps.Keys(Attributes)) {
		place := Attributes[name].Place
		names[place] = append(names[place], name)
	}
	return names
})
