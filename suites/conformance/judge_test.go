package conformance

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

func TestTheCatalogueIsInOrderAndComplete(t *testing.T) {
	var ids, profiles []string
	for _, c := range Catalogue() {
		assert.Regexp(t, regexp.MustCompile(`^[a-z]+(-[a-z]+)+$`), c.ID)
		assert.NotContains(t, ids, c.ID, "twice")
		assert.NotEmpty(t, c.Title, c.ID)
		assert.NotNil(t, c.Assess, c.ID)
		assert.Contains(t, []reports.Level{reports.Core, reports.Extended, reports.Provisional}, c.Level, c.ID)
		ids = append(ids, c.ID)
		if !slices.Contains(profiles, c.Profile) {
			profiles = append(profiles, c.Profile)
		} else {
			assert.Equal(t, profiles[len(profiles)-1], c.Profile, "%s is not beside the others of its profile", c.ID)
		}
	}
	assert.Equal(t, Profiles(), profiles)
	assert.Subset(t, ids, []string{
		"prometheus-sidecar-injected", "certificates-mounted", "certificate-identity", "traffic-not-intercepted", "monitors-accepted",
		"targets-complete", "targets-up", "metrics-queryable", "mutual-tls-on-the-wire", "unmeshed-still-scraped",
		"plaintext-refused", "no-certificate-refused", "foreign-certificate-refused", "identity-authorized", "side-doors-known",
	})
}

func TestJudgeWeighsWhatACheckFound(t *testing.T) {
	fails := func(f *finding) { f.Fail("bad") }
	doubts := func(f *finding) { f.Unclear("dim") }
	sees := func(f *finding) { f.Saw("eye", "it", "good") }
	skips := func(f *finding) { f.Skip("not here") }
	for name, c := range map[string]struct {
		found   []func(*finding)
		verdict reports.Verdict
		reason  string
	}{
		"nothing found is inconclusive":     {nil, reports.Inconclusive, "nothing was seen that the check could judge"},
		"evidence passes":                   {[]func(*finding){sees}, reports.Pass, ""},
		"a doubt outweighs evidence":        {[]func(*finding){sees, doubts}, reports.Inconclusive, "dim"},
		"a failure outweighs everything":    {[]func(*finding){sees, doubts, skips, fails}, reports.Fail, "bad"},
		"a skip holds alone":                {[]func(*finding){skips}, reports.Skip, "not here"},
		"a skip does not hide a doubt":      {[]func(*finding){skips, doubts}, reports.Inconclusive, "dim"},
		"a skip does not hide what is seen": {[]func(*finding){skips, sees}, reports.Pass, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := Check{ID: "x", Assess: func(_ *subject, f *finding) {
				for _, found := range c.found {
					found(f)
				}
			}}.Judge(observe.Observation{})
			assert.Equal(t, c.verdict, r.Verdict)
			assert.Equal(t, c.reason, r.Reason)
		})
	}
}

func TestWhatCouldNotBeReadKeepsACheckFromPassing(t *testing.T) {
	assessed := 0
	c := Check{Reads: reads("the targets of "), Assess: func(_ *subject, f *finding) {
		assessed++
		f.Saw("eye", "it", "good")
	}}
	r := c.Judge(observe.Observation{Unread: []observe.Unread{{What: "the targets of x", Reason: "why"}}})
	assert.Equal(t, reports.Inconclusive, r.Verdict)
	assert.Equal(t, "the targets of x could not be read: why", r.Reason)
	assert.Equal(t, 1, assessed, "what of the rest is wrong must still be found")

	r = c.Judge(observe.Observation{Unread: []observe.Unread{{What: "services", Reason: "why"}}})
	assert.Equal(t, reports.Inconclusive, r.Verdict)
	assert.Equal(t, 1, assessed, "nothing can be judged without a whole collection")

	r = c.Judge(observe.Observation{Unread: []observe.Unread{{What: "something else", Reason: "why"}}})
	assert.Equal(t, reports.Pass, r.Verdict, "what a check does not need does not concern it")
}

// sound is what must hold of every verdict on anything.
func sound(t testing.TB, c Check, o observe.Observation) reports.Check {
	r := c.Judge(o)
	switch r.Verdict {
	case reports.Pass:
		assert.NotEmpty(t, r.Evidence, "%s passes without evidence", c.ID)
		assert.Empty(t, r.Reason, c.ID)
	case reports.Fail, reports.Inconclusive, reports.Skip:
		assert.NotEmpty(t, r.Reason, "%s is %s without a reason", c.ID, r.Verdict)
	default:
		t.Errorf("%s: %q is no verdict", c.ID, r.Verdict)
	}
	return r
}

func TestAnEmptyObservationIsNeverGood(t *testing.T) {
	for _, c := range Catalogue() {
		for _, o := range []observe.Observation{{}, {Watch: &observe.Watch{}}, {Episodes: []observe.Episode{{}}}} {
			r := sound(t, c, o)
			assert.Equal(t, reports.Inconclusive, r.Verdict, "%s: %s", c.ID, r.Reason)
		}
	}
}

// eachFieldZeroed sets one field after the other of whatever it is given to its zero
// value, at every depth that belongs to an observation.
func eachFieldZeroed(root reflect.Value, path string, visit func(path string)) {
	switch root.Kind() {
	case reflect.Pointer:
		if !root.IsNil() {
			eachFieldZeroed(root.Elem(), path, visit)
		}
	case reflect.Slice:
		if root.Len() > 0 {
			eachFieldZeroed(root.Index(0), path+"[0]", visit) // one stands for all
		}
	case reflect.Struct:
		if root.Type().PkgPath() != reflect.TypeOf(observe.Observation{}).PkgPath() {
			return // of others' types the whole value is set
		}
		for i := range root.NumField() {
			field := root.Field(i)
			name := path + "." + root.Type().Field(i).Name
			kept := reflect.New(field.Type()).Elem()
			kept.Set(field)
			field.SetZero()
			visit(name)
			field.Set(kept)
			eachFieldZeroed(field, name, visit)
		}
	}
}

func TestAnObservationWithAHoleInItIsJudgedWithoutPanic(t *testing.T) {
	o := good(t)
	onlyPrometheus(&o)
	needed := []string{".Prometheus", ".ServiceMonitors", ".Services", ".EndpointSlices", ".Pods", ".Replicas"}
	eachFieldZeroed(reflect.ValueOf(&o), "", func(path string) {
		for _, c := range Catalogue() {
			r := sound(t, c, o)
			if slices.Contains(needed, path) && !notNeeded(c.ID, path) {
				assert.NotEqual(t, reports.Pass, r.Verdict, "%s passes without %s", c.ID, path)
			}
		}
	})
}

// notNeeded lists what a check rightly does without.
func notNeeded(id, path string) bool {
	return slices.Contains(map[string][]string{
		// They are about Prometheus itself, whatever it scrapes.
		"prometheus-sidecar-injected": {".ServiceMonitors", ".Services", ".EndpointSlices", ".Replicas"},
		"certificates-mounted":        {".Services", ".EndpointSlices", ".Pods"},
		"certificate-identity":        {".ServiceMonitors", ".Services", ".EndpointSlices"},
		// The way of a monitor ends at the scrape pool, before there are targets.
		"monitors-accepted": {".Services", ".EndpointSlices", ".Pods"},
		// Targets are endpoints; the pod behind is asked for only by some.
		"targets-complete": {".Pods"}, "targets-up": {".Pods"}, "metrics-queryable": {".Pods"},
		"plaintext-refused": {".Pods"}, "no-certificate-refused": {".Pods"}, "foreign-certificate-refused": {".Pods"},
		"scraper-certificate-rotated": {".Pods"},
	}[id], path)
}

func TestEmptyEntriesInListsAreJudgedWithoutPanic(t *testing.T) {
	o := good(t)
	o.PeerAuthentications = append(o.PeerAuthentications, nil, &securityv1.PeerAuthentication{})
	o.AuthorizationPolicies = append(o.AuthorizationPolicies, nil, &securityv1.AuthorizationPolicy{})
	o.DestinationRules, o.Sidecars = []*networkingv1.DestinationRule{nil}, []*networkingv1.Sidecar{nil}
	root := reflect.ValueOf(&o).Elem()
	for i := range root.NumField() {
		if f := root.Field(i); f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct {
			f.Set(reflect.Append(f, reflect.Zero(f.Type().Elem())))
		}
	}
	for _, c := range Catalogue() {
		sound(t, c, o)
	}
}

// slim leaves of an observation what the checks look at, so that it is read fast.
func slim(o observe.Observation) observe.Observation {
	o.Services = slices.DeleteFunc(o.Services, func(s corev1.Service) bool { return s.Name != "productpage" })
	o.EndpointSlices = slices.DeleteFunc(o.EndpointSlices, func(s discoveryv1.EndpointSlice) bool {
		return s.Labels[discoveryv1.LabelServiceName] != "productpage"
	})
	o.Pods = slices.DeleteFunc(o.Pods, func(p corev1.Pod) bool { return p.Labels["app"] != "productpage" && p.Labels["prometheus"] == "" })
	for i := range o.Pods {
		p := &o.Pods[i]
		p.Spec.Volumes = nil
		for _, all := range [][]corev1.Container{p.Spec.Containers, p.Spec.InitContainers} {
			for j := range all {
				all[j] = corev1.Container{Name: all[j].Name, Image: all[j].Image, Ports: all[j].Ports, RestartPolicy: all[j].RestartPolicy}
			}
		}
	}
	return o
}

func FuzzJudge(f *testing.F) {
	f.Add([]byte(`{"formatVersion":1}`))
	f.Add([]byte(`{"formatVersion":1,"prometheus":{"spec":{"serviceMonitorSelector":{},"podMonitorSelector":{},"probeSelector":{},"scrapeConfigSelector":{},"replicas":-1}},` +
		`"serviceMonitors":[{"spec":{"endpoints":[{"port":"x","scheme":"HTTPS","relabelings":[{"regex":"["}]},{"targetPort":9}]}}],` +
		`"podMonitors":[{"spec":{"podMetricsEndpoints":[{}]}}],"probeMonitors":[{}],"scrapeConfigs":[{}],"services":[{}],` +
		`"endpointSlices":[{"metadata":{"labels":{"kubernetes.io/service-name":""}},"ports":[{},{"name":"x","port":1}],"endpoints":[{"addresses":["::1"]}]}],` +
		`"pods":[{"spec":{"containers":[{"name":"istio-proxy","ports":[{"containerPort":9}]}]}}],"peerAuthentications":[null],"authorizationPolicies":[null,{"spec":{"rules":[null,{"from":[{}]}]}}],` +
		`"replicas":[{"configuration":"a: &a [*a]","up":[{}]}],"proxies":[{}],"probes":[{}],"watch":{"up":[{}],"certificates":[{}],"traffic":[{}]},"episodes":[{"pods":[{}]}]}`))
	f.Add([]byte(`{"formatVersion":1,"pods":null,"replicas":[{"targets":[{"pool":"x"}]}],"watch":{"certificates":null}}`))
	base, err := json.Marshal(slim(good(f)))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, content []byte) {
		if o, err := observe.Decode(content); err == nil {
			for _, c := range Catalogue() {
				r := sound(t, c, o)
				require.False(t, r.Verdict == reports.Pass && o.Prometheus == nil, "%s passes what is not there", c.ID)
			}
		}
		// The same as a change to a good observation, which gets further.
		o, err := observe.Decode(base)
		require.NoError(t, err)
		if json.Unmarshal(content, &o) == nil {
			for _, c := range Catalogue() {
				sound(t, c, o)
			}
		}
	})
}
