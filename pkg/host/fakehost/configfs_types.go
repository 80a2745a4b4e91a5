package fakehost

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

// What directories are, where others have to know.
const (
	aBackstore = "backstore"
	aTPG       = "portal group"
	aPortal    = "portal"
	aLUN       = "LUN"
	anACL      = "ACL"
	aMappedLUN = "mapped LUN"
)

// The layout below /sys/kernel/config/target, with the defaults of Linux 6.1.
// What the agent has no use for is left out.

var rootType = &itemType{
	attributes: map[string]attribute{"dbroot": {text: "/var/target\n", store: storeDBRoot}},
	groups:     map[string]*itemType{"core": coreType},
	members:    iscsiType,
	named:      map[string]*itemType{"fc": fcType, "qla2xxx": qlaType},
	check: func(c *configfs, _ *node, name string) error {
		// These it does not load by itself.
		if module, ok := map[string]string{"fc": fcModule, "qla2xxx": qlaModule}[name]; ok {
			if !c.modules[module] {
				return syscall.EINVAL
			}
			return nil
		}
		// target_core_register_fabric in drivers/target/target_core_configfs.c
		// takes all that begins so for iSCSI.
		if !strings.HasPrefix(name, "iscsi") || !c.insert(iscsiModule) {
			return syscall.EINVAL
		}
		return nil
	},
}

var coreType = &itemType{
	members: hbaType,
	check: func(c *configfs, _ *node, name string) error {
		plugin, number, found := cutLast(name, "_")
		if !found {
			return syscall.EINVAL
		}
		if _, err := parseUint(number, 32); err != nil {
			return err
		}
		if plugin != "iblock" || !c.insert(iblockModule) {
			return syscall.EINVAL
		}
		return nil
	},
}

var hbaType = &itemType{
	attributes: map[string]attribute{"hba_info": {}},
	make: func(_ *configfs, n *node) error {
		index := 0
		for _, hba := range n.parent.children {
			var other int
			if _, err := fmt.Sscanf(hba.textOf("hba_info"), "HBA Index: %d", &other); err == nil {
				index = max(index, other+1)
			}
		}
		n.setText("hba_info", fmt.Sprintf("HBA Index: %d plugin: iblock version: v5.0\n", index))
		return nil
	},
	members: backstoreType,
	check:   anyName,
}

var backstoreType = &itemType{
	what: aBackstore,
	attributes: map[string]attribute{
		"alias":     {store: storeAlias},
		"control":   {store: storeControl, writeOnly: true},
		"enable":    {text: "0\n", store: storeEnable},
		"info":      {text: backstore{minor: -1}.String()},
		"udev_path": {store: storeUdevPath},
	},
	groups: map[string]*itemType{
		"attrib": {attributes: map[string]attribute{
			"atomic_max_len":             {text: "0\n"}, // no device has them
			"block_size":                 {text: "512\n"},
			"hw_block_size":              {text: "512\n"},
			"pi_prot_type":               {text: "0\n"},
			"emulate_3pc":                {text: "1\n", store: storeFlag},
			"emulate_caw":                {text: "1\n", store: storeFlag},
			"emulate_pr":                 {text: "1\n", store: storeFlag},
			"emulate_rest_reord":         {text: "0\n", store: storeFlag},
			"emulate_tas":                {text: "1\n", store: unexported(storeFlag)},
			"emulate_tpu":                {text: "0\n", store: storeEmulateTPU},
			"emulate_tpws":               {text: "0\n", store: storeEmulateTPU},
			"emulate_ua_intlck_ctrl":     {text: "0\n", store: unexported(storeNumber)},
			"is_nonrot":                  {text: "1\n", store: storeFlag},
			"max_unmap_block_desc_count": {text: "0\n", store: storeNumber},
			"max_unmap_lba_count":        {text: "0\n", store: storeNumber},
			"max_write_same_len":         {text: "65535\n", store: storeNumber},
			"optimal_sectors":            {text: "8192\n", store: unexported(storeNumber)},
			"queue_depth":                {text: "128\n", store: unexported(storeNumber)},
			"unmap_granularity":          {text: "0\n", store: storeNumber},
		}},
		// Groups of ports that are made by hand are not kept.
		"alua": {groups: map[string]*itemType{"default_tg_pt_gp": {attributes: map[string]attribute{"alua_access_state": {text: "0\n"}}}}},
		"pr":   reservationType,
		"wwn": {attributes: map[string]attribute{
			"company_id":      {text: "0x001405\n"},
			"vendor_id":       {text: "LIO-ORG\n"},
			"product_id":      {text: "\n", store: storeProduct},
			"vpd_unit_serial": {text: serialText(""), store: storeSerial},
		}},
	},
	make: func(c *configfs, n *node) error {
		if !c.atomicWrites {
			delete(n.children["attrib"].children, "atomic_max_len")
		}
		return nil
	},
	drop: func(c *configfs, n *node) {
		if b, ok := parseBackstore(n.textOf("info")); ok && b.minor >= 0 {
			c.lvm.release(b.minor)
			if c.bound[b.minor]--; c.bound[b.minor] == 0 {
				delete(c.bound, b.minor)
			}
		}
	},
}

var iscsiType = &itemType{
	attributes: map[string]attribute{"lio_version": {text: "Datera Inc. iSCSI Target v4.1.0\n"}},
	groups:     map[string]*itemType{"discovery_auth": discoveryType},
	members:    targetType,
	check: func(_ *configfs, _ *node, name string) error {
		if len(name) >= 224 { // ISCSI_IQN_LEN
			return syscall.EINVAL
		}
		return nil
	},
}

var targetType = &itemType{
	groups: map[string]*itemType{
		"fabric_statistics": {groups: map[string]*itemType{
			"iscsi_instance": {attributes: map[string]attribute{"sessions": {text: "0\n"}}},
		}},
		"param": {},
	},
	members: tpgType,
	check:   checkTPGName,
}

var tpgType = &itemType{
	what: aTPG,
	attributes: map[string]attribute{
		"dynamic_sessions": {},
		"enable":           {text: "0\n", store: storeTPGEnable},
	},
	groups: map[string]*itemType{
		"acls": {members: aclType, check: anyName},
		"attrib": {attributes: map[string]attribute{
			"authentication":          {text: "1\n", store: storeFlag},
			"cache_dynamic_acls":      {text: "0\n", store: storeCacheDynamicACLs},
			"default_cmdsn_depth":     {text: "64\n", store: storeNumber},
			"default_erl":             {text: "0\n", store: storeNumber},
			"demo_mode_discovery":     {text: "1\n", store: storeFlag},
			"demo_mode_write_protect": {text: "1\n", store: storeFlag},
			"fabric_prot_type":        {text: "0\n", store: storeNumber},
			"generate_node_acls":      {text: "0\n", store: storeGenerateNodeACLs},
			"login_keys_workaround":   {text: "1\n", store: storeFlag},
			"login_timeout":           {text: "15\n", store: storeNumber},
			"netif_timeout":           {text: "2\n", store: storeNumber},
			"prod_mode_write_protect": {text: "0\n", store: storeFlag},
			"t10_pi":                  {text: "0\n", store: storeFlag},
			"tpg_enabled_sendtargets": {text: "1\n", store: storeFlag},
		}},
		"auth": groupAuthType,
		"lun":  {members: lunType, check: checkLUNName},
		"np":   {members: portalType, check: anyName},
		"param": {attributes: map[string]attribute{
			"DataDigest":               {text: "CRC32C,None\n", store: storeListParam},
			"DefaultTime2Retain":       {text: "20\n", store: storeParam},
			"DefaultTime2Wait":         {text: "2\n", store: storeParam},
			"ErrorRecoveryLevel":       {text: "0\n", store: storeParam},
			"FirstBurstLength":         {text: "65536\n", store: storeParam},
			"HeaderDigest":             {text: "CRC32C,None\n", store: storeListParam},
			"ImmediateData":            {text: "Yes\n", store: storeParam},
			"InitialR2T":               {text: "Yes\n", store: storeParam},
			"MaxBurstLength":           {text: "262144\n", store: storeParam},
			"MaxConnections":           {text: "1\n", store: storeParam},
			"MaxOutstandingR2T":        {text: "1\n", store: storeParam},
			"MaxRecvDataSegmentLength": {text: "8192\n", store: storeParam},
			"MaxXmitDataSegmentLength": {text: "262144\n", store: storeParam},
			"TargetAlias":              {text: "LIO Target\n", store: storeParam},
		}},
	},
	drop: func(_ *configfs, n *node) { endSessions(n) },
}

var authType = &itemType{attributes: map[string]attribute{
	"password":        {text: "\n", store: storeCredential},
	"password_mutual": {text: "\n", store: storeCredential},
	"userid":          {text: "\n", store: storeCredential},
	"userid_mutual":   {text: "\n", store: storeCredential},
}}

// groupAuthType is for initiators that have no ACL.
var groupAuthType = &itemType{attributes: map[string]attribute{
	"password":        {text: "\n", store: storeGroupCredential},
	"password_mutual": {text: "\n", store: storeGroupCredential},
	"userid":          {text: "\n", store: storeGroupCredential},
	"userid_mutual":   {text: "\n", store: storeGroupCredential},
}}

var discoveryType = &itemType{attributes: map[string]attribute{
	"enforce_discovery_auth": {text: "0\n", store: storeFlag},
	"password":               {text: "\n", store: storeCredential},
	"password_mutual":        {text: "\n", store: storeCredential},
	"userid":                 {text: "\n", store: storeCredential},
	"userid_mutual":          {text: "\n", store: storeCredential},
}}

var portalType = &itemType{
	what:       aPortal,
	attributes: map[string]attribute{"iser": {text: "0\n", store: storeISER}},
	make:       func(c *configfs, n *node) error { return c.listen(n) },
	drop:       func(c *configfs, n *node) { c.stopListening(n) },
}

var lunType = &itemType{
	what:   aLUN,
	groups: map[string]*itemType{"statistics": {}},
	link:   linkLUN,
	unlink: unlinkLUN,
}

var aclType = &itemType{
	what:       anACL,
	attributes: map[string]attribute{"info": {}},
	groups: map[string]*itemType{
		"attrib":            {attributes: map[string]attribute{"authentication": {text: "-1\n", store: storeACLAuthentication}}},
		"auth":              authType,
		"fabric_statistics": {},
		"param":             {},
	},
	members: mappedLUNType,
	check:   checkLUNName,
	make: func(_ *configfs, n *node) error {
		adoptSession(n)
		return nil
	},
	drop: func(_ *configfs, n *node) { endSession(n) },
}

var mappedLUNType = &itemType{
	what: aMappedLUN,
	// There is nothing to protect until it is linked.
	attributes: map[string]attribute{"write_protect": {store: storeWriteProtect}},
	groups:     map[string]*itemType{"statistics": {}},
	link:       linkMappedLUN,
	unlink: func(_ *configfs, from, to *node) {
		from.setText("write_protect", "")
		if b := to.linkIn(); b != nil {
			b.target.dropRegistration(from.parent.name)
		}
	},
}

func checkTPGName(_ *configfs, _ *node, name string) error {
	_, tag, found := strings.Cut(name, "tpgt_")
	if _, err := parseUint(tag, 16); !found || err != nil {
		return syscall.EINVAL
	}
	return nil
}

func anyName(*configfs, *node, string) error { return nil }

func checkLUNName(_ *configfs, _ *node, name string) error {
	number, found := strings.CutPrefix(name, "lun_")
	if !found {
		return syscall.EINVAL
	}
	_, err := parseUint(number, 64)
	return err
}

func cutLast(text, sep string) (before, after string, found bool) {
	i := strings.LastIndex(text, sep)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(sep):], true
}

// storeFlag keeps 0 or 1.
func storeFlag(_ *configfs, _ *node, value string) (string, error) {
	n, err := parseUint(value, 32)
	if err == nil && n > 1 {
		err = syscall.EINVAL
	}
	return flagText(n == 1), err
}

// unexported is for attributes of a backstore that the kernel does not change while
// a LUN is linked to it (export_count in drivers/target/target_core_configfs.c).
func unexported(store func(*configfs, *node, string) (string, error)) func(*configfs, *node, string) (string, error) {
	return func(c *configfs, n *node, value string) (string, error) {
		text, err := store(c, n, value)
		if err == nil && n.ancestor(2).links > 0 {
			err = syscall.EINVAL
		}
		return text, err
	}
}

func storeNumber(_ *configfs, _ *node, value string) (string, error) {
	n, err := parseUint(value, 32)
	return strconv.FormatUint(n, 10) + "\n", err
}

// storeGenerateNodeACLs follows iscsit_ta_generate_node_acls in
// drivers/target/iscsi/iscsi_target_tpg.c.
func storeGenerateNodeACLs(c *configfs, n *node, value string) (string, error) {
	text, err := storeFlag(c, n, value)
	if err == nil && text == flagText(true) {
		n.parent.setText("cache_dynamic_acls", text)
	}
	return text, err
}

// storeCacheDynamicACLs follows iscsit_ta_cache_dynamic_acls: while anybody is
// admitted, it silently remains set.
func storeCacheDynamicACLs(c *configfs, n *node, value string) (string, error) {
	text, err := storeFlag(c, n, value)
	if err == nil && n.parent.textOf("generate_node_acls") == flagText(true) && text == flagText(false) {
		return n.text, nil
	}
	return text, err
}

func storeTPGEnable(_ *configfs, n *node, value string) (string, error) {
	on, err := parseBool(value)
	if err == nil && !on {
		endSessions(n.parent)
	}
	return flagText(on), err
}

// storeParam follows iscsi_tpg_param_##name##_store. Only lists may have commas.
func storeParam(c *configfs, n *node, value string) (string, error) {
	if strings.Contains(value, ",") {
		return "", syscall.EINVAL
	}
	return storeListParam(c, n, value)
}

// storeListParam is storeParam of what may be a list.
func storeListParam(_ *configfs, _ *node, value string) (string, error) {
	if value != "" && strings.ContainsRune(" \t\n\v\f\r", rune(value[len(value)-1])) {
		value = value[:len(value)-1]
	}
	return value + "\n", nil
}

// storeCredential keeps what is written, a newline at its end included.
func storeCredential(_ *configfs, _ *node, value string) (string, error) {
	if len(value) >= 256 { // MAX_USER_LEN
		return "", syscall.EINVAL
	}
	return value + "\n", nil
}

// storeGroupCredential is storeCredential of a portal group, which cuts off what is
// too long.
func storeGroupCredential(c *configfs, n *node, value string) (string, error) {
	return storeCredential(c, n, value[:min(len(value), 255)])
}

func storeACLAuthentication(_ *configfs, _ *node, value string) (string, error) {
	n, err := parseInt(value)
	if err == nil && (n < -1 || n > 1) {
		err = syscall.EINVAL
	}
	return strconv.FormatInt(n, 10) + "\n", err
}

// storeWriteProtect follows target_fabric_mappedlun_write_protect_store: before
// there is a LUN, nothing happens.
func storeWriteProtect(c *configfs, n *node, value string) (string, error) {
	text, err := storeFlag(c, n, value)
	if err == nil && n.text == "" {
		return "", nil
	}
	return text, err
}

// linkLUN follows target_fabric_port_link in
// drivers/target/target_core_fabric_configfs.c.
func linkLUN(_ *configfs, lun, to *node) error {
	switch {
	case !to.isOf(aBackstore):
		return syscall.EFAULT
	case to.textOf("enable") != flagText(true):
		return syscall.ENODEV
	case lun.linkIn() != nil:
		return syscall.EEXIST
	}
	setExported(to, true)
	return nil
}

// unlinkLUN follows core_clear_lun_from_tpg in drivers/target/target_core_tpg.c:
// no initiator sees the LUN any more, though the mapped ones stay.
func unlinkLUN(_ *configfs, lun, backstore *node) {
	if backstore.links == 1 {
		setExported(backstore, false)
	}
	acls, err := lun.ancestor(2).walk("acls")
	if err != nil {
		return
	}
	acls.each(func(n *node) bool {
		if link := n.linkIn(); n.isOf(aMappedLUN) && link != nil && link.target == lun {
			n.setText("write_protect", "")
			backstore.dropRegistration(n.parent.name)
		}
		return true
	})
}

// linkMappedLUN follows target_fabric_mappedlun_link.
func linkMappedLUN(_ *configfs, mapped, to *node) error {
	tpg := mapped.ancestor(3)
	switch {
	case !to.isOf(aLUN):
		return syscall.EFAULT
	case to.linkIn() == nil, to.ancestor(2) != tpg, mapped.linkIn() != nil:
		return syscall.EINVAL
	}
	mapped.setText("write_protect", flagText(tpg.textOf("attrib/prod_mode_write_protect") == flagText(true)))
	to.linkIn().target.restoreRegistration(tpg.parent.name, mapped.parent.name, mapped.name)
	return nil
}
