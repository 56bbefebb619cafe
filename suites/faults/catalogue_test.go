package faults

import (
	"maps"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/conformance"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/diagnosis"
)

func checkIDs() []string {
	var ids []string
	for _, c := range conformance.Catalogue() {
		ids = append(ids, c.ID)
	}
	return ids
}

func TestTheCatalogueIsSound(t *testing.T) {
	kebab := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	checks, codes := checkIDs(), diagnosis.Codes()
	ids, namespaces := map[string]bool{}, map[string]bool{}
	alone := false
	for _, f := range Catalogue() {
		assert.Regexp(t, kebab, f.ID)
		assert.False(t, ids[f.ID], "%s is there twice", f.ID)
		assert.NotEmpty(t, f.Title, f.ID)
		assert.NotEmpty(t, f.Layer, f.ID)
		assert.NotEmpty(t, f.Why, f.ID)
		assert.Subset(t, checks, slices.Concat(f.Red, f.Unclear, f.Optional), f.ID)
		assert.Subset(t, codes, f.causes(), f.ID)
		for _, id := range f.Red {
			assert.NotContains(t, f.Unclear, id, "%s has %s in both lists", f.ID, id)
		}
		assert.ElementsMatch(t, f.Red, slices.Compact(slices.Sorted(slices.Values(f.Red))), "%s has a red check twice", f.ID)
		assert.False(t, alone && !f.alone(), "%s comes after one that has to run alone", f.ID)
		if f.Expires {
			assert.True(t, f.Watch, "%s: only the certificates of those that are watched are short-lived", f.ID)
		}
		alone = f.alone()
		ids[f.ID] = true

		s, err := goodSubject(f)
		require.NoError(t, err)
		for _, name := range []string{s.Namespace, s.Namespace + otherSuffix} {
			assert.Empty(t, validation.IsDNS1123Label(name), f.ID)
		}
		assert.False(t, namespaces[s.Namespace], "%s has the namespace of another", f.ID)
		namespaces[s.Namespace] = true
	}
	for _, f := range Singles() {
		assert.NotEmpty(t, f.Cause, f.ID)
		assert.NotEmpty(t, slices.Concat(f.Red, f.Unclear), f.ID)
	}
	assert.Equal(t, Control, Catalogue()[0].ID, "the good set-up is tried first")
	assert.GreaterOrEqual(t, len(Singles()), 60)
	assert.GreaterOrEqual(t, len(combinations()), 12)
}

func TestEveryCheckTurnsRedBySomeFault(t *testing.T) {
	redden := map[string]bool{}
	for _, f := range Singles() {
		for _, id := range f.Red {
			redden[id] = true
		}
	}
	t.Logf("%d of %d checks turn red by a fault, %d have a reason why they do not", len(redden), len(checkIDs()), len(Unfaulted))
	for _, id := range checkIDs() {
		assert.NotEqual(t, redden[id], Unfaulted[id] != "", "%s must turn red by a fault, or have a reason in Unfaulted, and not both", id)
	}
	assert.Subset(t, checkIDs(), slices.Collect(maps.Keys(Unfaulted)))
}

func TestEveryCauseIsProvokedBySomeFault(t *testing.T) {
	provoked := map[string]bool{}
	for _, f := range Singles() {
		provoked[f.Cause] = true
	}
	t.Logf("%d of %d causes are provoked by a fault, %d have a reason why they are not", len(provoked), len(diagnosis.Codes()), len(Unprovoked))
	for _, code := range diagnosis.Codes() {
		assert.NotEqual(t, provoked[code], Unprovoked[code] != "", "%s must be the first cause of a fault, or have a reason in Unprovoked, and not both", code)
	}
	assert.Subset(t, diagnosis.Codes(), slices.Collect(maps.Keys(Unprovoked)))
}

func TestEveryChangeChangesTheSetUp(t *testing.T) {
	for _, f := range Catalogue() {
		s, err := goodSubject(f)
		require.NoError(t, err)
		before := s.Manifests("run", nil)
		for _, c := range slices.Concat(f.Change, f.Later) {
			require.NoError(t, s.Make([]Change{c}), f.ID)
			after := s.Manifests("run", nil)
			assert.NotEqual(t, before, after, "%s: %s", f.ID, c.What)
			assert.NotEmpty(t, c.What, f.ID)
			before = after
		}
		somehow := len(f.Change)+len(f.Later) > 0 || f.Mesh != nil || f.Namespace != ""
		assert.Equal(t, f.ID != Control, somehow, "%s changes nothing", f.ID)
	}
}

func TestEverySetUpIsOneThatKubernetesCouldTake(t *testing.T) {
	for _, f := range Catalogue() {
		s, err := NewSubject(f)
		require.NoError(t, err, f.ID)
		require.NoError(t, s.Make(f.Later), f.ID)
		for _, u := range s.Manifests("run", nil) {
			strictly(t, f.ID, u)
			assert.NotContains(t, shownWhole(u.Object), "$", "%s: a placeholder is left in %s %s", f.ID, u.GetKind(), u.GetName())
			assert.Equal(t, s.Namespace, u.GetLabels()[faultLabel], "%s: %s %s would not be found again", f.ID, u.GetKind(), u.GetName())
		}
	}
}

func TestWhatEveryChangeSaysOfItselfIsALine(t *testing.T) {
	for _, f := range Catalogue() {
		for _, c := range slices.Concat(f.Change, f.Later) {
			assert.NotContains(t, c.What, "\n", f.ID)
			assert.Less(t, len(c.What), 300, "%s: %s", f.ID, c.What)
		}
	}
}

func TestCombinationsAreOfFaultsThatCanBeJudgedTogether(t *testing.T) {
	for _, f := range combinations() {
		assert.Len(t, f.named, 2, f.ID)
		assert.NotEqual(t, f.named[0], f.named[1], "%s: one cause would stand for both", f.ID)
	}
	for _, p := range pairs {
		for _, id := range p {
			f, ok := find(id)
			require.True(t, ok)
			assert.False(t, f.Mesh != nil || f.Watch || f.Expires || f.Age > 0 || len(f.Later) > 0 || f.Namespace != "" || len(f.Optional) > 0,
				"%s needs more than a change, which a combination does not take over", id)
		}
	}
}
