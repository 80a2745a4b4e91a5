package fakehost

import (
	"errors"
	"strconv"
	"strings"
	"syscall"
)

// parseUint reads a number as the kernel's kstrtouint does with base 0: decimal,
// octal or hexadecimal, with at most one newline at its end.
func parseUint(text string, bits int) (uint64, error) {
	text = strings.TrimPrefix(strings.TrimSuffix(text, "\n"), "+")
	base := 10
	switch {
	case strings.HasPrefix(text, "0x"), strings.HasPrefix(text, "0X"):
		text, base = text[2:], 16
	case strings.HasPrefix(text, "0"):
		base = 8
	}
	if strings.HasPrefix(text, "+") {
		return 0, syscall.EINVAL
	}
	n, err := strconv.ParseUint(text, base, bits)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, syscall.ERANGE
	case err != nil:
		return 0, syscall.EINVAL
	}
	return n, nil
}

// parseInt reads a number that may be negative, as kstrtoint does.
func parseInt(text string) (int64, error) {
	digits, negative := strings.CutPrefix(text, "-")
	n, err := parseUint(digits, 31)
	if negative {
		return -int64(n), err
	}
	return int64(n), err
}

// parseBool reads a boolean as kstrtobool does.
func parseBool(text string) (bool, error) {
	switch {
	case text == "":
	case strings.ContainsRune("yYtT1", rune(text[0])):
		return true, nil
	case strings.ContainsRune("nNfF0", rune(text[0])):
		return false, nil
	case len(text) > 1 && strings.EqualFold(text[:2], "on"):
		return true, nil
	case len(text) > 1 && strings.EqualFold(text[:2], "of"):
		return false, nil
	}
	return false, syscall.EINVAL
}

func flagText(on bool) string {
	if on {
		return "1\n"
	}
	return "0\n"
}
