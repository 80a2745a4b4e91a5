package spec

import (
	"errors"
	"fmt"
	"strings"
)

const (
	lowerLetters    = "abcdefghijklmnopqrstuvwxyz"
	upperLetters    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	decimalDigits   = "0123456789"
	alphanumeric    = lowerLetters + upperLetters + decimalDigits
	labelCharacters = alphanumeric + "-_."
	dnsCharacters   = lowerLetters + decimalDigits + "-"

	maxDNSLabel        = 63
	maxDNSName         = 253
	maxAnnotationBytes = 256 << 10
)

// checkObjectName accepts DNS-1123 labels.
func checkObjectName(name string) error {
	if len(name) > maxDNSLabel {
		return fmt.Errorf("%s has %d characters; at most %d are allowed", quote(name), len(name), maxDNSLabel)
	}
	if err := checkCharacters(name, dnsCharacters, "lower-case letters, digits and -"); err != nil {
		return err
	}
	if strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-") {
		return fmt.Errorf("%s must begin and end with a letter or digit", quote(name))
	}
	return nil
}

// checkLabelKey accepts the keys of labels and annotations: a name, with an
// optional DNS name and a slash before it.
func checkLabelKey(key string) error {
	prefix, name, prefixed := strings.Cut(key, "/")
	if !prefixed {
		prefix, name = "", key
	}
	if prefixed {
		if len(prefix) > maxDNSName {
			return fmt.Errorf("the prefix before the slash has %d characters; at most %d are allowed", len(prefix), maxDNSName)
		}
		for _, label := range strings.Split(prefix, ".") {
			if checkObjectName(label) != nil {
				return fmt.Errorf("prefix %s before the slash must be a DNS name in lower case", quote(prefix))
			}
		}
	}
	if name == "" {
		return errors.New("the key has no name; write one after the slash")
	}
	return checkLabelName(name)
}

// checkLabelName accepts values of labels, and names of label keys.
func checkLabelName(name string) error {
	if len(name) > maxDNSLabel {
		return fmt.Errorf("%s has %d characters; at most %d are allowed", quote(name), len(name), maxDNSLabel)
	}
	if err := checkCharacters(name, labelCharacters, "letters, digits, -, _ and ."); err != nil {
		return err
	}
	if name != "" && strings.Trim(name[:1]+name[len(name)-1:], alphanumeric) != "" {
		return fmt.Errorf("%s must begin and end with a letter or digit", quote(name))
	}
	return nil
}

// checkCharacters names the first character that is not allowed.
func checkCharacters(text, allowed, described string) error {
	for _, r := range text {
		if !strings.ContainsRune(allowed, r) {
			return fmt.Errorf("%s contains %q; only %s are allowed", quote(text), r, described)
		}
	}
	return nil
}
