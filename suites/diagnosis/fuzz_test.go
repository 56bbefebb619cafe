package diagnosis

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// FuzzDiagnose takes recorded observations apart at places that the input chooses.
// Whatever still decodes must be diagnosed without a panic.
func FuzzDiagnose(f *testing.F) {
	var forms [][]byte
	for i, c := range cases {
		if i%8 != 0 {
			continue
		}
		o := loadGood(f)
		c.spoil(subject{&o})
		o.Pods = slices.DeleteFunc(o.Pods, func(p corev1.Pod) bool {
			return !strings.HasPrefix(p.Name, "prom") && !strings.HasPrefix(p.Name, "productpage")
		})
		form, err := json.Marshal(o)
		require.NoError(f, err)
		forms = append(forms, form)
		f.Add(uint8(len(forms)-1), []byte{})
	}
	f.Add(uint8(0), []byte{0, 9, 0, 1, 200, 1, 7, 7, 2, 40, 40, 3})
	f.Fuzz(func(t *testing.T, form uint8, mutations []byte) {
		var tree any
		require.NoError(t, json.Unmarshal(forms[int(form)%len(forms)], &tree))
		nodes := collect(tree, nil)
		for ; len(mutations) >= 3 && len(nodes) > 0; mutations = mutations[3:] {
			nodes[(int(mutations[0])<<8|int(mutations[1]))%len(nodes)].set(mutations[2])
		}
		content, err := json.Marshal(tree)
		require.NoError(t, err)
		check(t, content)
	})
}

// FuzzDiagnoseText is for text that was never an observation.
func FuzzDiagnoseText(f *testing.F) {
	f.Add([]byte(`{"formatVersion":1,"prometheus":{},"serviceMonitors":[{"spec":{"endpoints":[{}]}}],"peerAuthentications":[null],"authorizationPolicies":[null]}`))
	f.Add([]byte(`{"formatVersion":1}`))
	f.Add([]byte(`null`))
	f.Fuzz(check)
}

func check(t *testing.T, content []byte) {
	o, err := observe.Decode(content)
	if err != nil {
		return
	}
	for id, causes := range Diagnose(o, failedCheck(allChecks...)) {
		for _, c := range causes {
			if c.Code == "" || strings.TrimSpace(c.Seen) == "" || strings.TrimSpace(c.Change) == "" {
				t.Fatalf("%s: a cause without code, seen or change: %+v", id, c)
			}
			if c.Confidence != reports.Certain && c.Confidence != reports.Likely && c.Confidence != reports.Possible {
				t.Fatalf("%s: %s has the confidence %q", id, c.Code, c.Confidence)
			}
		}
	}
}

// node is a place in decoded JSON.
type node struct {
	in    map[string]any
	key   string
	list  []any
	index int
}

func (n node) set(kind byte) {
	values := []any{nil, "", map[string]any{}, []any{}, "x/y", []any{nil}, float64(0), float64(-1), true, []any{map[string]any{}}, "0", "*"}
	v := values[int(kind)%len(values)]
	if n.in != nil {
		n.in[n.key] = v
		return
	}
	n.list[n.index] = v
}

func collect(v any, nodes []node) []node {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			nodes = append(nodes, node{in: v, key: k})
			nodes = collect(v[k], nodes)
		}
	case []any:
		for i := range v {
			nodes = append(nodes, node{list: v, index: i})
			nodes = collect(v[i], nodes)
		}
	}
	return nodes
}
