package sandbox

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"istio.io/api/label"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/stack"
	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

// deployed is what a run with some options applies, by kind and name.
func deployed(t *testing.T, o Options) map[string]*unstructured.Unstructured {
	t.Helper()
	o.RunID, o.Prometheus, o.Variant = "run-1", image.PrometheusVersion, stack.Default
	objects, err := (&Sandbox{Options: o}).objects(false)
	require.NoError(t, err)
	assert.Equal(t, "ResourceQuota", objects[0].GetKind(), "which comes first")
	all := map[string]*unstructured.Unstructured{}
	for _, u := range objects {
		all[u.GetKind()+"/"+u.GetName()] = u
	}
	return all
}

func TestAllThatIsAppliedIsInTheNamespaceAndOfTheRun(t *testing.T) {
	all := deployed(t, Options{})
	for _, needed := range []string{
		"ResourceQuota/mtls-scrape-sandbox", "PeerAuthentication/default", "EnvoyFilter/mtls-scrape-access-log", "Pod/mtls-scrape-probe", "Pod/mtls-scrape-member",
		"Deployment/mtls-scrape-unmeshed", "Deployment/productpage-v1", "Prometheus/default", "ServiceMonitor/productpage", "Role/prometheus-full-access", "RoleBinding/prometheus-full-access",
	} {
		assert.Contains(t, all, needed)
	}
	for name, u := range all {
		assert.Equal(t, Namespace, u.GetNamespace(), name)
		assert.False(t, manifests.ClusterScoped(u.GetKind()), name)
		assert.Equal(t, ManagedBy, u.GetLabels()[ManagedByLabel], name)
		assert.Equal(t, "run-1", u.GetLabels()[RunLabel], name)
	}
	label, _, err := unstructured.NestedString(all["Prometheus/default"].Object, "spec", "podMetadata", "labels", RunLabel)
	require.NoError(t, err)
	assert.Equal(t, "run-1", label, "so that its pods have it")
}

func TestASidecarThatLogsWhatIsNeededIsNotToldTo(t *testing.T) {
	objects, err := (&Sandbox{Options: Options{Prometheus: image.PrometheusVersion, Variant: stack.Default}}).objects(true)
	require.NoError(t, err)
	for _, u := range objects {
		assert.NotEqual(t, "EnvoyFilter", u.GetKind())
	}
}

func TestWhetherTheMeshLogsWhatIsNeededIsReadFromItsConfiguration(t *testing.T) {
	format := "accessLogFile: /dev/stdout\naccessLogFormat: '"
	for _, field := range mesh.AccessLogFields {
		format += field.(string) + " "
	}
	in := func(name, config string) runtime.Object {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: name}, Data: map[string]string{"mesh": config}}
	}
	for name, c := range map[string]struct {
		object   runtime.Object
		revision string
		fits     bool
	}{
		"as the suite's own":      {in("istio", format+"'"), "default", true},
		"of a revision":           {in("istio-1-31", format+"'"), "1-31", true},
		"of another":              {in("istio", format+"'"), "1-31", false},
		"in a format of its own":  {in("istio", "accessLogFile: /dev/stdout"), "default", false},
		"not to the log of a pod": {in("istio", strings.ReplaceAll(format, "/dev/stdout", "/tmp/log")), "default", false},
		"it is not there at all":  {in("other", format), "default", false},
	} {
		s := &Sandbox{kubernetes: fake.NewClientset(c.object), injection: Injection{Revision: c.revision}}
		assert.Equal(t, c.fits, s.accessLogFits(t.Context()), name)
	}
}

// What Prometheus discovers is beside it, so a Role will do.
func TestPrometheusMayReadWhatItDiscoversAndNothingOfTheCluster(t *testing.T) {
	all := deployed(t, Options{})
	var role rbacv1.Role
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(all["Role/prometheus-full-access"].Object, &role))
	listed := map[string]bool{}
	for _, r := range role.Rules {
		assert.Empty(t, r.NonResourceURLs)
		for _, name := range r.Resources {
			assert.NotContains(t, name, "nodes")
			listed[name] = true
		}
	}
	for _, needed := range []string{"services", "pods", "endpoints", "endpointslices"} {
		assert.True(t, listed[needed], needed)
	}
	var binding rbacv1.RoleBinding
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(all["RoleBinding/prometheus-full-access"].Object, &binding))
	assert.Equal(t, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "prometheus-full-access"}, binding.RoleRef)
	assert.Equal(t, []rbacv1.Subject{{Kind: "ServiceAccount", Name: "prometheus-full-access", Namespace: Namespace}}, binding.Subjects)
}

func TestTheSidecarsOfTargetsCountRefusals(t *testing.T) {
	text, _, err := unstructured.NestedString(deployed(t, Options{})["Deployment/productpage-v1"].Object, "spec", "template", "metadata", "annotations", "proxy.istio.io/config")
	require.NoError(t, err)
	var config struct {
		ProxyMetadata     map[string]string
		ProxyStatsMatcher struct{ InclusionRegexps []string }
	}
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &config), text)
	assert.Equal(t, []string{mesh.TLSCounters}, config.ProxyStatsMatcher.InclusionRegexps)
	assert.Equal(t, "20s", config.ProxyMetadata["SECRET_TTL"], "beside what the variant says")
}

// images are all references in a value.
func images(value any) (all []string) {
	switch v := value.(type) {
	case map[string]any:
		for k, x := range v {
			if text, ok := x.(string); ok && k == "image" {
				all = append(all, text)
			}
			all = append(all, images(x)...)
		}
	case []any:
		for _, x := range v {
			all = append(all, images(x)...)
		}
	}
	return all
}

func TestEveryImageIsPulledFromTheRegistryThatIsNamed(t *testing.T) {
	seen := 0
	for name, u := range deployed(t, Options{Registry: "r.example:5000/team"}) {
		for _, i := range images(u.Object) {
			seen++
			assert.True(t, strings.HasPrefix(i, "r.example:5000/team/"), "%s: %s", name, i)
		}
	}
	assert.GreaterOrEqual(t, seen, 9)
	for _, i := range images(deployed(t, Options{})["Prometheus/default"].Object) {
		assert.Equal(t, image.Find("prometheus").Reference, i, "else it is as upstream has it")
	}
}

// The level "restricted" of the Pod Security Standards, as far as containers of ours go.
func TestARestrictedNamespaceGetsPodsThatPass(t *testing.T) {
	check := func(name string, spec corev1.PodSpec) {
		require.NotNil(t, spec.SecurityContext, name)
		assert.True(t, *spec.SecurityContext.RunAsNonRoot, name)
		assert.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, spec.SecurityContext.SeccompProfile.Type, name)
		for _, c := range append(spec.InitContainers, spec.Containers...) {
			require.NotNil(t, c.SecurityContext, name)
			assert.False(t, *c.SecurityContext.AllowPrivilegeEscalation, name)
			assert.Equal(t, []corev1.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop, name)
		}
		for _, v := range spec.Volumes {
			assert.NotNil(t, v.EmptyDir, name)
		}
	}
	seen := 0
	for name, u := range deployed(t, Options{PodSecurity: "restricted"}) {
		switch u.GetKind() {
		case "Pod":
			var p corev1.Pod
			require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &p))
			check(name, p.Spec)
		case "Deployment":
			var d appsv1.Deployment
			require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &d))
			check(name, d.Spec.Template.Spec)
		default:
			continue
		}
		seen++
	}
	assert.Equal(t, 9, seen)
	security, _, err := unstructured.NestedMap(deployed(t, Options{PodSecurity: "restricted"})["Prometheus/default"].Object, "spec", "securityContext")
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"runAsNonRoot": true, "runAsUser": int64(65534), "seccompProfile": map[string]any{"type": "RuntimeDefault"}}, security)
}

func TestWhyNoOperatorLooksAfterTheNamespaceIsTold(t *testing.T) {
	operator := func(image string, args ...string) appsv1.Deployment {
		d := appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "monitoring", Name: "op"}}
		d.Spec.Template.Spec.Containers = []corev1.Container{{Image: image, Args: args}}
		return d
	}
	for want, deployments := range map[string][]appsv1.Deployment{
		"no Deployment of the cluster runs a Prometheus Operator: install one": {operator("quay.io/p/prometheus-config-reloader:v1"), {}},
		"Deployment monitoring/op has --namespaces=a,b. Add " + Namespace:      {operator("r:5000/prometheus-operator:v1", "--log-level=info", "--namespaces=a,b")},
		"Deployment monitoring/op has no flag that names namespaces":           {operator("prometheus-operator@sha256:0")},
	} {
		assert.Contains(t, operatorHint(deployments), want)
	}
}

func TestWhatOthersUseIsFoundByWhatItRuns(t *testing.T) {
	istiod := func(name, revision string) appsv1.Deployment {
		return appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "mesh", Name: name, Labels: map[string]string{"app": "istiod", label.IoIstioRev.Name: revision}}}
	}
	operator := appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "monitoring", Name: "kps-operator"}}
	operator.Spec.Template.Spec.Containers = []corev1.Container{{Image: "quay.io/prometheus-operator/prometheus-operator:v0.92.0"}}
	all := []appsv1.Deployment{istiod("istiod-1-30", "1-30"), operator, istiod("istiod-1-31", "1-31"), istiod("istiod", "default")}
	for revision, want := range map[string]string{"": "istiod", "1-31": "istiod-1-31", "1-30": "istiod-1-30"} {
		s := sharedOf(all, revision)
		assert.Equal(t, types.NamespacedName{Namespace: "mesh", Name: want}, s.ControlPlane)
		assert.Equal(t, types.NamespacedName{Namespace: "monitoring", Name: "kps-operator"}, s.Operator)
	}
	assert.Equal(t, "istio-system/istiod", sharedOf(nil, "").ControlPlane.String(), "by the name that it would have")
}

func TestAnErrorSaysWhatToChangeWhereThatIsClear(t *testing.T) {
	s := &Sandbox{Options: Options{PodSecurity: "restricted"}}
	events := refusalsIn([]corev1.Event{
		{Reason: "FailedCreate", Message: `pods "x" is forbidden: violates PodSecurity "restricted:latest"`, InvolvedObject: corev1.ObjectReference{Kind: "ReplicaSet", Name: "x"}},
		{Reason: "FailedCreate", Message: `pods "x" is forbidden: violates PodSecurity "restricted:latest"`, InvolvedObject: corev1.ObjectReference{Kind: "ReplicaSet", Name: "x"}},
		{Reason: "Unhealthy", Message: "not ready"},
	})
	assert.Equal(t, 1, strings.Count(events, "violates PodSecurity"))
	err := s.explained(assert.AnError, events)
	require.ErrorIs(t, err, assert.AnError)
	assert.ErrorContains(t, err, "ReplicaSet x")
	assert.ErrorContains(t, err, "Istio's CNI plugin")
	assert.NotContains(t, err.Error(), "not ready")
	err = s.explained(assert.AnError, "probe: ErrImagePull")
	assert.ErrorContains(t, err, "REGISTRY=host/path")
	assert.Equal(t, assert.AnError, s.explained(assert.AnError, ""))
}

// The manifest and the table say the same, and neither more nor less.
func TestTheManifestGrantsExactlyTheRules(t *testing.T) {
	objects, err := manifests.Read(manifests.Certify)
	require.NoError(t, err)
	var granted, wanted []string
	for _, u := range objects {
		if u.GetKind() != "ClusterRole" || u.GetName() != "mtls-scrape-sandbox" {
			continue
		}
		var role rbacv1.ClusterRole
		require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &role))
		for _, r := range role.Rules {
			assert.NotContains(t, r.Verbs, "*")
			assert.NotContains(t, r.Resources, "secrets")
			for _, group := range r.APIGroups {
				for _, resource := range r.Resources {
					for _, verb := range r.Verbs {
						granted = append(granted, observe.Rule{Verb: verb, Group: group, Resource: resource}.String())
					}
				}
			}
		}
	}
	for _, r := range Rules() {
		wanted = append(wanted, r.String())
	}
	assert.ElementsMatch(t, wanted, granted)
}

// Who may not do himself what a Role allows cannot make it.
func TestTheRulesHaveAllThatPrometheusIsGiven(t *testing.T) {
	var names []string
	for _, r := range Rules() {
		names = append(names, r.String())
	}
	var role rbacv1.Role
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(deployed(t, Options{})["Role/prometheus-full-access"].Object, &role))
	for _, r := range role.Rules {
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				for _, verb := range r.Verbs {
					assert.Contains(t, names, observe.Rule{Verb: verb, Group: group, Resource: resource}.String())
				}
			}
		}
	}
}

func TestWhatTheClusterHasToDoIsAwaited(t *testing.T) {
	hard := corev1.ResourceList{"pods": resource.MustParse("30"), "services": resource.MustParse("12")}
	counted := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: quotaName}, Spec: corev1.ResourceQuotaSpec{Hard: hard}}
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: "prometheus-default"}}
	s := &Sandbox{kubernetes: fake.NewClientset(counted)}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, s.awaitQuota(short), "0 of 2 kinds are counted")
	require.ErrorContains(t, s.awaitOperator(short), "the Prometheus Operator to make the StatefulSet of Prometheus mtls-scrape-sandbox/default")
	counted.Status.Used = hard
	s.kubernetes = fake.NewClientset(counted, set)
	require.NoError(t, s.awaitQuota(t.Context()))
	require.NoError(t, s.awaitOperator(t.Context()))
}
