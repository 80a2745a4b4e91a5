package observe

import (
	"errors"
	"io/fs"
	"path"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// AttributeFile is the file of an attribute of an iSCSI target that an Export may
// set.
func (d TargetDir) AttributeFile(name string) string {
	if spec.Attributes[name].Place == spec.TargetParam {
		return path.Join(d.TPG(), "param", name)
	}
	return path.Join(d.Attrib(), name)
}

// BackstoreAttributeFile is the file of a backstore's attribute.
func BackstoreAttributeFile(hba, name, attribute string) string {
	return path.Join(BackstoreDir(hba, name), "attrib", attribute)
}

var (
	targetAttributes    = append(spec.TargetAttrib.Names(), spec.TargetParam.Names()...)
	backstoreAttributes = spec.BackstoreAttrib.Names()
)

// readTargetAttributes reads those attributes of an iSCSI target that an Export may
// set, as far as the kernel has them.
func readTargetAttributes(h host.Files, dir TargetDir) (map[string]string, error) {
	return readAttributes(h, targetAttributes, dir.AttributeFile)
}

func readBackstoreAttributes(h host.Files, hba, name string) (map[string]string, error) {
	return readAttributes(h, backstoreAttributes, func(attribute string) string {
		return BackstoreAttributeFile(hba, name, attribute)
	})
}

func readAttributes(h host.Files, names []string, file func(string) string) (map[string]string, error) {
	var values map[string]string
	for _, name := range names {
		text, err := readText(h, file(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		if values == nil {
			values = map[string]string{}
		}
		values[name] = text
	}
	if c, remembers := h.(*cache); remembers && values != nil {
		values = c.sharedAttributes(values)
	}
	return values, nil
}
