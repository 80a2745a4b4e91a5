package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// validation collects what is wrong with one object.
type validation struct {
	object   *object
	decoded  []Finding // a field that could not be read has no second finding
	findings []Finding
}

// validate judges an object that has its defaults, by itself. decoded is what
// was found wrong while reading it.
func (o *object) validate(decoded []Finding) []Finding {
	v := &validation{object: o, decoded: decoded}
	switch value := o.value.(type) {
	case *Pool:
		v.metadata(value.Metadata)
		v.pool(value.Spec)
	case *Volume:
		v.metadata(value.Metadata)
		v.volume(value.Spec)
	case *Snapshot:
		v.metadata(value.Metadata)
		v.snapshot(value.Metadata.Name, value.Spec)
	case *Export:
		v.metadata(value.Metadata)
		v.export(value.Spec)
	case *Image:
		v.metadata(value.Metadata)
		v.imageFile(value.Spec)
	case *Repository:
		v.metadata(value.Metadata)
		v.repository(value.Spec)
	case *SnapshotSchedule:
		v.metadata(value.Metadata)
		v.schedule(value.Metadata.Name, value.Spec)
	case *Backup:
		v.metadata(value.Metadata)
		v.backup(value.Spec)
	default:
		v.check("", fmt.Errorf("cannot validate a %T: unknown type", o.value))
	}
	return v.findings
}

// check records an error of a field, if there is one.
func (v *validation) check(path string, err error) {
	if err == nil || slices.ContainsFunc(v.decoded, func(f Finding) bool { return sameBranch(f.Path, path) }) {
		return
	}
	v.findings = append(v.findings, v.object.finding(path, err))
}

// refuse records an error of a field.
func (v *validation) refuse(path, format string, args ...any) {
	v.check(path, fmt.Errorf(format, args...))
}

func (v *validation) metadata(m Metadata) {
	v.check("metadata.name", checkObjectName(m.Name))
	for _, key := range slices.Sorted(maps.Keys(m.Labels)) {
		path := entryPath("metadata.labels", key)
		v.check(path, checkLabelKey(key))
		v.check(path, checkLabelName(m.Labels[key]))
	}
	size := 0
	for _, key := range slices.Sorted(maps.Keys(m.Annotations)) {
		path := entryPath("metadata.annotations", key)
		v.check(path, checkLabelKey(key))
		v.check(path, checkOwnAnnotation(key, m.Annotations[key]))
		size += len(key) + len(m.Annotations[key])
	}
	if size > maxAnnotationBytes {
		v.refuse("metadata.annotations", "the annotations have %d bytes in total; at most %d are allowed", size, maxAnnotationBytes)
	}
}

// checkOwnAnnotation checks the annotations that mean something to the agent. A
// mistyped one is refused: it would leave an object unfrozen that somebody
// believes to be frozen.
func checkOwnAnnotation(key, value string) error {
	known := []string{AnnotationReconcile, AnnotationRecreate, AnnotationAllowDeletions}
	switch {
	case key == AnnotationReconcile && value != "suspended":
		return fmt.Errorf("value %s is not allowed; write suspended, or remove the annotation", quote(value))
	case key == AnnotationRecreate && (value == "" || strings.ContainsAny(value, " \t\r\n")):
		return fmt.Errorf("%s is not the UUID of a logical volume; copy it from the object's status", quote(value))
	case key == AnnotationAllowDeletions && !isToken(value):
		return fmt.Errorf("%s is not a deletion token of 16 hexadecimal digits; copy it from the status of the objects that wait for confirmation", quote(value))
	case strings.HasPrefix(key, "volreconciler/") && !slices.Contains(known, key):
		return fmt.Errorf("unknown annotation%s (allowed: %s)", suggest(key, known), strings.Join(known, ", "))
	default:
		return nil
	}
}

// isToken reports whether a text has the form of what allows deletions.
func isToken(text string) bool {
	return len(text) == 16 && strings.Trim(text, "0123456789abcdef") == ""
}

func (v *validation) pool(s PoolSpec) {
	v.check("spec.volumeGroup", checkVGName(s.VolumeGroup))
	if s.ThinPool != nil {
		v.check("spec.thinPool.name", v.because("spec.thinPool.name", "metadata.name of the Pool", checkLVName(s.ThinPool.Name)))
	}
	v.oneOf("spec.clear", "clear method", string(s.Clear), string(ClearNone), string(ClearZero), string(ClearDiscard))
}

func (v *validation) snapshot(name string, s SnapshotSpec) {
	v.check("spec.volume", checkObjectName(s.Volume))
	if err := checkLVName(name); err != nil && checkObjectName(name) == nil {
		v.refuse("metadata.name", "%w (a Snapshot's name is also the name of its logical volume)", err)
	}
	v.deletionPolicy(s.DeletionPolicy)
}

// because adds to an error of a default where the value comes from. If that is
// a name which is refused itself, there is nothing to add.
func (v *validation) because(path, source string, err error) error {
	switch {
	case err == nil || v.object.hasField(path):
		return err
	case v.object.id.Name == "" || checkObjectName(v.object.id.Name) != nil:
		return nil //nolint:nilerr // the name's own finding says it
	}
	return fmt.Errorf("%w (default from %s, because the field is not set)", err, source)
}

func (v *validation) deletionPolicy(p DeletionPolicy) {
	v.oneOf("spec.deletionPolicy", "deletion policy", string(p), string(Delete), string(Retain))
}

func (v *validation) oneOf(path, what, value string, known ...string) {
	if !slices.Contains(known, value) {
		v.refuse(path, "%s is not a valid %s%s (allowed: %s)", quote(value), what, suggest(value, known), strings.Join(known, ", "))
	}
}
