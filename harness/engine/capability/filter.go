package capability

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// sets are the five lists of the process.capabilities object of an OCI runtime
// specification, https://github.com/opencontainers/runtime-spec/blob/main/config.md.
var sets = [...]string{"bounding", "effective", "inheritable", "permitted", "ambient"}

// object is a JSON object of which only some members are understood; the others
// are kept as they were written, numbers and unknown names included.
type object map[string]json.RawMessage

// Filter removes the missing capabilities from an OCI runtime specification
// (process.capabilities) or from a process object alone (capabilities), which is
// what `runc exec --process` reads. When there is nothing to remove it returns
// spec itself, byte for byte.
func Filter(spec []byte, missing []string) ([]byte, error) {
	var top object
	if err := json.Unmarshal(spec, &top); err != nil {
		return nil, fmt.Errorf("not an OCI runtime specification: %w", err)
	}
	if top == nil {
		return nil, fmt.Errorf("not an OCI runtime specification: null")
	}
	edit := func(process object) (bool, error) { return filterProcess(process, missing) }
	changed, err := false, error(nil)
	if _, whole := top["process"]; whole {
		changed, err = editMember(top, "process", edit)
	} else {
		changed, err = edit(top)
	}
	if err != nil {
		return nil, err
	}
	if !changed {
		return spec, nil
	}
	return encode(top)
}

func filterProcess(process object, missing []string) (bool, error) {
	return editMember(process, "capabilities", func(capabilities object) (bool, error) {
		changed := false
		for _, set := range sets {
			raw, present := capabilities[set]
			if !present {
				continue
			}
			var list []string
			if err := json.Unmarshal(raw, &list); err != nil {
				return false, fmt.Errorf("the capability set %s: %w", set, err)
			}
			kept := slices.DeleteFunc(slices.Clone(list), func(name string) bool { return slices.Contains(missing, name) })
			if len(kept) == len(list) {
				continue
			}
			text, err := encode(kept)
			if err != nil {
				return false, err
			}
			capabilities[set], changed = text, true
		}
		return changed, nil
	})
}

// editMember lets edit change the object that parent has under name, and puts it
// back if it did. A member that is absent or null is left as it is.
func editMember(parent object, name string, edit func(object) (bool, error)) (bool, error) {
	raw, present := parent[name]
	if !present {
		return false, nil
	}
	var member object
	if err := json.Unmarshal(raw, &member); err != nil {
		return false, fmt.Errorf("the member %s: %w", name, err)
	}
	changed, err := edit(member)
	if err != nil || !changed {
		return false, err
	}
	parent[name], err = encode(member)
	return err == nil, err
}

// encode is json.Marshal without its escaping of <, > and &, which would rewrite
// strings that are none of this package's business.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
