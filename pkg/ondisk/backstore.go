package ondisk

import (
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// HBA is the first of the directories in which our backstores are created, one in each,
// see [NthHBA]. Older agents created all of them in this one.
//
// targetcli has each backstore in a directory of its own, and removes the directory
// together with the backstore: of two in one directory it removes one, and fails. It
// counts from 0, and we from a number that it hardly comes to.
const HBA = hbaPrefix + "900"

const (
	hbaPrefix = "iblock_"
	firstHBA  = 900
)

// NthHBA returns the directory of a backstore, counting from 0.
func NthHBA(n int) string { return hbaPrefix + strconv.Itoa(firstHBA+n) }

// OwnHBA reports whether a directory is one that our backstores are created in.
func OwnHBA(hba string) bool {
	number, ok := strings.CutPrefix(hba, hbaPrefix)
	n, err := strconv.Atoi(number)
	return ok && err == nil && n >= firstHBA
}

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
