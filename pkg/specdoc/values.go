package specdoc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Values are the allowed values of a field.
type Values struct {
	// Text has them in words; empty: Enum, Numbers or the range are shown.
	Text string
	// Enum has all of them.
	Enum []string
	// Numbers has all of them.
	Numbers []int
	// Min and Max are the range of a number, if Max is not 0.
	Min, Max int
	// Pattern is a regular expression in the syntax that RE2 and ECMA 262 share. It matches every allowed value;
	// what else it matches is refused by package spec, which knows more.
	Pattern string
	// MaxLength is how many characters a text may have; 0: it is not limited here.
	MaxLength int
	// Empty is true if an empty text is allowed.
	Empty bool
}

// String describes the values, with values in backticks.
func (v *Values) String() string {
	switch {
	case v == nil:
		return ""
	case v.Text != "":
		return v.Text
	case v.Enum != nil:
		return alternatives(v.Enum)
	case v.Numbers != nil:
		var words []string
		for _, n := range v.Numbers {
			words = append(words, strconv.Itoa(n))
		}
		return alternatives(words)
	default:
		return fmt.Sprintf("%d to %d", v.Min, v.Max)
	}
}

// alternatives returns words in backticks, with "or" before the last.
func alternatives(words []string) string { return listed(words, "or") }

// oneOf says that exactly one of some fields is given.
func oneOf(names []string) string { return "one of " + listed(names, "and") }

// listed returns words in backticks, with another word before the last.
func listed(words []string, conjunction string) string {
	words = slices.Clone(words)
	for i, w := range words {
		words[i] = "`" + w + "`"
	}
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " " + conjunction + " " + words[last]
}

// enum returns the constants of a type as values.
func enum[T ~string](constants ...T) *Values {
	v := &Values{}
	for _, c := range constants {
		v.Enum = append(v.Enum, string(c))
	}
	return v
}

const (
	dnsLabel = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
	lvmName  = "^[a-zA-Z0-9+_.][a-zA-Z0-9+_.-]*$"
	labelled = "[a-zA-Z0-9]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?"
	dnsName  = "[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
	wwpn     = "([nN][aA][aA][.]|0[xX])?[0-9a-fA-F]{16}|([0-9a-fA-F]{2}:){7}[0-9a-fA-F]{2}"

	sizePattern    = "[1-9][0-9]*([KMGTPE]i?)?"
	percentPattern = "([1-9]|[1-8][0-9]|9[0-5])%"
)

// The limits are those of package spec; a test compares the two.
var (
	objectName = &Values{
		Text: "a DNS label: `a-z`, `0-9` and `-`, at most 63 characters", Pattern: dnsLabel, MaxLength: 63,
	}
	vgName = &Values{Text: "the name of a volume group", Pattern: lvmName, MaxLength: 127}
	lvName = &Values{Text: "the name of a logical volume, at most 115 characters", Pattern: lvmName, MaxLength: 115}
	size   = &Values{
		Text:    "a whole number with a unit (`K` to `E` are powers of 1000, `Ki` to `Ei` powers of 1024), or of bytes",
		Pattern: "^" + sizePattern + "$",
	}
	sizeOrPercent = &Values{
		Text: "a size, or a percentage of the volume group (`1%` to `95%`: its metadata needs room too)", Pattern: "^(" + sizePattern + "|" + percentPattern + ")$",
	}
	duration = &Values{
		Text: "whole seconds, minutes or hours with their unit", Pattern: "^([0-9.]+(ns|us|µs|μs|ms|s|m|h))+$",
	}
	filePath = &Values{Text: "an absolute path on the node without `.`, `..` and double slashes", Pattern: "^(/|(/[^/]+)+)$"}
	word     = &Values{
		Text:    "1 to 63 letters, digits, `_`, `.` and `-`, not beginning with `-`",
		Pattern: "^[a-zA-Z0-9_.][a-zA-Z0-9_.-]*$", MaxLength: 63,
	}
	labelKey = &Values{
		Text: "a name of at most 63 letters, digits, `-`, `_` and `.`, with or without a DNS name and `/` before it", Pattern: "^(" + dnsName + "/)?" + labelled + "$",
	}
	labelValue = &Values{
		Text: "at most 63 letters, digits, `-`, `_` and `.`", Pattern: "^(" + labelled + ")?$", MaxLength: 63, Empty: true,
	}
)

// nameOf returns the values of a field that names an object.
func nameOf(what string) *Values {
	v := *objectName
	v.Text = "the name of " + what
	return &v
}
