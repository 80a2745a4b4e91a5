package ondisk

import (
	"strings"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// HBA is where our backstores are created. Its number is high because targetcli
// gives each of its own backstores a directory of its own, counting from 0, and
// removes that directory together with the backstore.
const HBA = "iblock_900"

// backstorePrefix marks our backstores; no other tool names them so.
const backstorePrefix = "volreconciler:"

// BackstoreName returns the name of an object's backstore.
func BackstoreName(id spec.ID) string {
	return backstorePrefix + strings.ToLower(string(id.Kind)) + ":" + id.Name
}

// BackstoreOwner returns the object whose backstore has this name. It reports false
// if it is nobody's.
func BackstoreOwner(name string) (spec.ID, bool) {
	rest, ok := strings.CutPrefix(name, backstorePrefix)
	if !ok {
		return spec.ID{}, false
	}
	kind, name, _ := strings.Cut(rest, ":")
	k, ok := kindOfTag[kind]
	return spec.ID{Kind: k, Name: name}, ok && name != ""
}
