package ondisk

import "fmt"

// RoundedTag says of a logical volume that it is larger than the size that was asked for
// because the one in whose place it came was: a size had been rounded up there by more than is
// needed here.
func RoundedTag(asked, size uint64) string { return fmt.Sprintf("%s%d:%d", TagRounded, asked, size) }

// RoundedTo reports whether tags say that a logical volume of a size has it because another
// size, or a smaller one, was asked for.
func RoundedTo(tags Tags, asked, size uint64) bool {
	for _, tag := range tags.TagsWith(TagRounded) {
		var least, made uint64
		if n, err := fmt.Sscanf(tag[len(TagRounded):], "%d:%d", &least, &made); n == 2 && err == nil && made == size && asked >= least {
			return true
		}
	}
	return false
}
