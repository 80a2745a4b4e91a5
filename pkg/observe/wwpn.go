package observe

import (
	"encoding/hex"
	"strings"
)

// wwpnPrefix is how spec, and most tools, begin the name of a Fibre Channel port.
const wwpnPrefix = "naa."

// normalWWPN returns the name of a Fibre Channel port in the form of spec, naa.
// and 16 lower-case digits, whatever form it is in: 20:00:…, naa.2000…, 0x2000….
// What is no such name is returned unchanged.
func normalWWPN(name string) string {
	digits := strings.ToLower(strings.TrimSpace(name))
	for _, prefix := range []string{wwpnPrefix, "0x"} {
		if rest, ok := strings.CutPrefix(digits, prefix); ok {
			digits = rest
			break
		}
	}
	digits = strings.ReplaceAll(digits, ":", "")
	if raw, err := hex.DecodeString(digits); err != nil || len(raw) != 8 {
		return name
	}
	return wwpnPrefix + digits
}

// colonWWPN returns the name of a Fibre Channel port as LIO writes it, the only
// form that it takes: 20:00:… in lower case (ft_parse_wwn in
// drivers/target/tcm_fc/tfc_conf.c). What is no such name is returned unchanged.
func colonWWPN(name string) string {
	digits, ok := strings.CutPrefix(normalWWPN(name), wwpnPrefix)
	if !ok || len(digits) != 16 {
		return name
	}
	var pairs []string
	for ; digits != ""; digits = digits[2:] {
		pairs = append(pairs, digits[:2])
	}
	return strings.Join(pairs, ":")
}
