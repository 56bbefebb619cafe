package observe

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// atRest is a subject whose one replica has scraped all that it is to scrape.
func atRest() *Observation {
	o := small()
	o.At = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for i := range o.Pods {
		o.Pods[i].CreationTimestamp = metav1.NewTime(o.At.Add(-time.Hour))
		o.Pods[i].Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(o.At.Add(-time.Hour))}}
	}
	r := Replica{Pod: "prometheus-p-0"}
	for _, e := range ExpectedTargets(*o) {
		r.Targets = append(r.Targets, Target{
			Pool: e.Pool, URL: e.URL, Health: "up", LastScrape: o.At.Add(-time.Second), Labels: map[string]string{"namespace": e.Namespace, "pod": e.Pod},
		})
	}
	o.Replicas = []Replica{r}
	return o
}

func TestUnrestIsWhatComesOrGoes(t *testing.T) {
	targets := func(o *Observation) *[]Target { return &o.Replicas[0].Targets }
	justReady := func(o *Observation) {
		o.Pods[1].Status.Conditions[0].LastTransitionTime = metav1.NewTime(o.At.Add(-2 * time.Second))
	}
	lackSecond := func(o *Observation) { *targets(o) = (*targets(o))[:1] }
	stranger := func(o *Observation, namespace, pod string) {
		*targets(o) = append(*targets(o), Target{Pool: "other", URL: "http://10.0.0.9:1/", Health: "up", LastScrape: o.At, Labels: map[string]string{"namespace": namespace, "pod": pod}})
	}
	const has, second = "prometheus-p-0 has ", "https://10.0.0.2:8080/m"
	for name, c := range map[string]struct {
		change func(o *Observation)
		want   []string
	}{
		"nothing":      {func(*Observation) {}, nil},
		"a new target": {func(o *Observation) { (*targets(o))[1].Health, (*targets(o))[1].LastScrape = "unknown", time.Time{} }, []string{has + second + " (not scraped yet), 1 in all"}},
		"all of them are new": {func(o *Observation) {
			*targets(o) = slices.Clone(*targets(o))
			for i := range *targets(o) {
				(*targets(o))[i].Health, (*targets(o))[i].LastScrape = "unknown", time.Time{}
			}
		}, []string{has + "https://10.0.0.1:8080/m (not scraped yet), 2 in all"}},
		"a target that is down": {func(o *Observation) { (*targets(o))[1].Health = "down" }, nil},
		"a pod about to go":     {func(o *Observation) { o.Pods[0].DeletionTimestamp = &metav1.Time{Time: o.At} }, []string{"https://10.0.0.1:8080/m (of a pod that is about to go), 1 in all"}},
		"another pod about to go": {func(o *Observation) {
			o.Pods = append(o.Pods, corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "z", DeletionTimestamp: &metav1.Time{Time: o.At}}})
		}, nil},
		"a pod just ready, and not found": {func(o *Observation) { justReady(o); lackSecond(o) }, []string{"prometheus-p-0 lacks " + second + " (not found yet), 1 in all"}},
		"a pod just ready, and found":     {justReady, nil},
		"a pod long ready, and not found": {lackSecond, nil},
		"a pod just made, not ready": {func(o *Observation) {
			lackSecond(o)
			o.Pods[1].Status.Conditions = nil
			o.Pods[1].CreationTimestamp = metav1.NewTime(o.At)
		}, []string{"prometheus-p-0 lacks " + second + " (not found yet), 1 in all"}},
		"a target of a pod that is gone":   {func(o *Observation) { stranger(o, "apps", "a-0") }, []string{has + "http://10.0.0.9:1/ (of a pod that is gone), 1 in all"}},
		"a target too many, of a pod":      {func(o *Observation) { stranger(o, "apps", "a-1") }, nil},
		"a target too many, of no pod":     {func(o *Observation) { stranger(o, "", "") }, nil},
		"pods that nobody could list":      {func(o *Observation) { o.Pods = nil }, nil},
		"no replica answered":              {func(o *Observation) { o.Replicas = nil }, nil},
		"a label pod that means something": {func(o *Observation) { (*targets(o))[0].Labels["pod"] = "node-exporter" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := atRest()
			c.change(o)
			assert.Equal(t, c.want, Unrest(*o))
		})
	}
}

func TestALookIsRepeatedUntilAllIsAtRestOrTheLimitHasPassed(t *testing.T) {
	rest, unrest := *atRest(), *atRest()
	unrest.Replicas = []Replica{{Pod: "prometheus-p-0", Targets: []Target{{URL: "x", Health: "unknown"}}}}
	for name, c := range map[string]struct {
		seen  []Observation
		limit time.Duration
		looks int
	}{
		"at once":          {[]Observation{rest}, time.Minute, 1},
		"the second time":  {[]Observation{unrest, rest}, time.Minute, 2},
		"never":            {[]Observation{unrest}, 10 * time.Millisecond, 1},
		"no time for that": {[]Observation{unrest}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &pass{}
			looks := 0
			p.lookAtRest(t.Context(), c.limit, func(ctx context.Context) {
				require.NoError(t, ctx.Err(), "a look is whole, however little is left of the limit")
				p.o = c.seen[looks]
				looks++
			})
			assert.Equal(t, c.looks, looks)
			assert.Equal(t, c.seen[len(c.seen)-1], p.o, "what was seen last counts")
		})
	}
}
