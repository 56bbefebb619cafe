package sandbox

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"istio.io/api/label"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
)

func expression(key string, operator metav1.LabelSelectorOperator, values ...string) metav1.LabelSelectorRequirement {
	return metav1.LabelSelectorRequirement{Key: key, Operator: operator, Values: values}
}

func hook(namespace, object []metav1.LabelSelectorRequirement) admissionv1.MutatingWebhook {
	return admissionv1.MutatingWebhook{
		NamespaceSelector: &metav1.LabelSelector{MatchExpressions: namespace}, ObjectSelector: &metav1.LabelSelector{MatchExpressions: object},
	}
}

// byRevision and byDefault are as the charts of Istio make them, with or without a tag.
func byRevision(revision string) admissionv1.MutatingWebhookConfiguration {
	return admissionv1.MutatingWebhookConfiguration{Webhooks: []admissionv1.MutatingWebhook{
		hook([]metav1.LabelSelectorRequirement{expression(label.IoIstioRev.Name, metav1.LabelSelectorOpIn, revision), expression(mesh.InjectionLabel, metav1.LabelSelectorOpDoesNotExist)},
			[]metav1.LabelSelectorRequirement{expression("sidecar.istio.io/inject", metav1.LabelSelectorOpNotIn, "false")}),
		hook([]metav1.LabelSelectorRequirement{expression(label.IoIstioRev.Name, metav1.LabelSelectorOpDoesNotExist), expression(mesh.InjectionLabel, metav1.LabelSelectorOpDoesNotExist)},
			[]metav1.LabelSelectorRequirement{expression("sidecar.istio.io/inject", metav1.LabelSelectorOpNotIn, "false"), expression(label.IoIstioRev.Name, metav1.LabelSelectorOpIn, revision)}),
	}}
}

func byDefault() admissionv1.MutatingWebhookConfiguration {
	c := byRevision("default")
	c.Webhooks = append(c.Webhooks, hook([]metav1.LabelSelectorRequirement{expression(mesh.InjectionLabel, metav1.LabelSelectorOpIn, "enabled")},
		[]metav1.LabelSelectorRequirement{expression("sidecar.istio.io/inject", metav1.LabelSelectorOpNotIn, "false")}))
	return c
}

// deactivated is what istioctl makes of a configuration that a tag has taken over from.
func deactivated() admissionv1.MutatingWebhookConfiguration {
	never := hook(nil, nil)
	never.NamespaceSelector.MatchLabels = map[string]string{"istio.io/deactivated": "never-match"}
	never.NamespaceSelector.MatchExpressions = []metav1.LabelSelectorRequirement{expression(label.IoIstioRev.Name, metav1.LabelSelectorOpIn, "gone")}
	return admissionv1.MutatingWebhookConfiguration{Webhooks: []admissionv1.MutatingWebhook{never}}
}

func TestTheNamespaceGetsTheLabelOfTheMeshThatIsThere(t *testing.T) {
	type hooks = []admissionv1.MutatingWebhookConfiguration
	for name, c := range map[string]struct {
		hooks      hooks
		revision   string
		key, value string
		says       string
		choice     bool
	}{
		"the default revision":            {hooks{byDefault()}, "", "istio-injection", "enabled", "", false},
		"the default one by name":         {hooks{byDefault(), byRevision("1-31")}, "default", "istio-injection", "enabled", "", false},
		"one with a name":                 {hooks{byRevision("asm-managed")}, "", "istio.io/rev", "asm-managed", "", false},
		"one of several":                  {hooks{byRevision("1-30"), byRevision("1-31"), byRevision("stable")}, "stable", "istio.io/rev", "stable", "", false},
		"several and none named":          {hooks{byRevision("1-31"), byDefault(), byRevision("1-30")}, "", "", "", "the mesh has 3 revisions and tags, name one with REVISION=: default, 1-30, 1-31", true},
		"one that is not there":           {hooks{byRevision("1-30")}, "1-31", "", "", `the mesh has no revision or tag "1-31": it has 1-30`, true},
		"one that is deactivated":         {hooks{deactivated(), byRevision("1-31")}, "", "istio.io/rev", "1-31", "", false},
		"no mesh":                         {nil, "", "", "", "install Istio's sidecar injector", false},
		"no mesh, though one is named":    {nil, "1-31", "", "", "install Istio's sidecar injector", false},
		"a mesh that leaves all else out": {hooks{deactivated()}, "", "", "", "whatever its labels", false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := choose(c.hooks, c.revision)
			if c.says == "" {
				require.NoError(t, err)
				assert.Equal(t, []string{c.key, c.value}, []string{got.Key, got.Value})
				return
			}
			require.ErrorContains(t, err, c.says)
			var choice *ChoiceError
			assert.Equal(t, c.choice, errors.As(err, &choice), "whether it is the user's to correct")
		})
	}
}
