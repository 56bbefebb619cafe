package faults

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOnlyWhatALaterChangeChangesIsAppliedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		later         []Change
		changed, gone []string
	}{
		"nothing":                    {},
		"a field":                    {later: []Change{ofEndpoint("/x", "path")}, changed: []string{"ServiceMonitor fault-x/productpage"}},
		"a label of the namespace":   {later: []Change{ownLabels(nil)}, changed: []string{"Namespace /fault-x"}},
		"an object more":             {later: []Change{Add(secondMonitor)}, changed: []string{"ServiceMonitor fault-x/productpage-second"}},
		"an object less":             {later: []Change{Remove("ServiceAccount", "prometheus-full-access")}, gone: []string{"ServiceAccount fault-x/prometheus-full-access"}},
		"an object less of no other": {later: []Change{Remove("ClusterRoleBinding", "prometheus-full-access")}, gone: []string{"ClusterRoleBinding /prometheus-full-access-fault-x"}},
		"an object in another place": {
			later:   []Change{Move("ServiceMonitor", "productpage")},
			changed: []string{"Namespace /fault-x-other", "ServiceMonitor fault-x-other/productpage"}, gone: []string{"ServiceMonitor fault-x/productpage"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := good(t)
			before := s.Manifests("r", nil)
			require.NoError(t, s.Make(c.later))
			changed, gone := difference(before, s.Manifests("r", nil))
			assert.Equal(t, c.changed, kinds(changed))
			assert.Equal(t, c.gone, kinds(gone))
		})
	}
	all := good(t).Manifests("r", nil)
	changed, gone := difference(nil, all)
	assert.Equal(t, all, changed, "at first everything is")
	assert.Empty(t, gone)
}

// What cannot be made does not need a cluster to be told.
func TestAFaultThatCannotBeMadeHasAnOutcomeAndOthersAreTried(t *testing.T) {
	broken := Fault{ID: "broken", Change: []Change{Remove("Service", "reviews")}}
	alone := Fault{ID: "broken-alone", Mesh: &MeshChange{}, Change: broken.Change}
	var seen []string
	var atOnce atomic.Int32
	(&Runner{Parallel: 4}).Run(t.Context(), []Fault{alone, broken, broken, broken}, func(o Outcome) {
		assert.EqualValues(t, 1, atOnce.Add(1), "outcomes come one at a time")
		defer atOnce.Add(-1)
		seen = append(seen, o.ID)
		assert.ErrorContains(t, o.Error, "the set-up has no Service reviews")
	})
	assert.Equal(t, []string{"broken", "broken", "broken", "broken-alone"}, seen, "what has to be alone comes last")
}

func TestWhatAnInterruptKeptFromBeingTriedHasNoOutcome(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	(&Runner{}).Run(ctx, []Fault{{ID: "x"}, {ID: "y", Mesh: &MeshChange{}}}, func(o Outcome) { t.Errorf("%s has an outcome", o.ID) })
}

func TestThoseThatWaitMoreThanTheyWorkComeFirst(t *testing.T) {
	var order []string
	for _, f := range patientFirst([]Fault{{ID: "a"}, {ID: "unready", Unready: true}, {ID: "b"}, {ID: "watched", Watch: true}, {ID: "expires", Expires: true}}) {
		order = append(order, f.ID)
	}
	assert.Equal(t, []string{"unready", "watched", "expires", "a", "b"}, order)
}
