package ondisk

import "fmt"

// RoundedTag returns the tag of a logical volume that is larger than the size that was asked
// for because its predecessor was: the size was rounded up further there than is needed here.
func RoundedTag(asked, size uint64) string { return fmt.Sprintf("%s%d:%d", TagRounded, asked, size) }

// IsRoundedFrom reports whether tags say that the size of a logical volume was rounded up from the
// size that is asked for, or from a larger one.
func IsRoundedFrom(tags Tags, asked, size uint64) bool {
	for _, tag := range tags.TagsWith(TagRounded) {
		var least, made uint64
		if n, err := fmt.Sscanf(tag[len(TagRounded):], "%d:%d", &least, &made); n == 2 && err == nil && made == size && asked >= least {
			return true
		}
	}
	return false
}
