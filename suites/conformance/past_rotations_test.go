package conformance

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// stood is the good set-up after a day in which every scrape was stored, with each
// replica's certificate renewed in the middle of it.
func stood(t testing.TB) observe.Observation {
	o := good(t)
	h := &observe.History{From: o.At.Add(-25 * time.Hour), To: o.At}
	for _, r := range o.Replicas {
		past := observe.ReplicaHistory{Pod: r.Pod}
		for _, target := range r.Targets {
			n := int(25 * time.Hour / time.Duration(target.Interval))
			past.Stored = append(past.Stored, observe.Stored{Pool: target.Pool, URL: target.URL, Samples: n, Up: n})
		}
		h.Replicas = append(h.Replicas, past)
		h.Watched = append(h.Watched, "default/"+r.Pod)
		h.Renewals = append(h.Renewals, observe.Renewal{Pod: "default/" + r.Pod, After: noon(o), Before: noon(o).Add(time.Minute)})
	}
	o.History = h
	return o
}

func noon(o observe.Observation) time.Time { return o.At.Add(-12 * time.Hour) }

// scraped replaces what is stored of one target by samples from some time on, but for
// those that are left out, and with those that failed.
func scraped(o *observe.Observation, from time.Time, lost func(at time.Time) bool, value float64) {
	interval := time.Duration(o.Replicas[0].Targets[0].Interval)
	s := &o.History.Replicas[0].Stored[0]
	s.Samples, s.Up, s.Points = 1, 0, nil
	for at := from; !at.After(o.History.To); at = at.Add(interval) {
		switch {
		case !lost(at):
			s.Points = append(s.Points, observe.Point{At: at, Value: 1})
		case value == 0:
			s.Points = append(s.Points, observe.Point{At: at})
		}
	}
}

// around is whether a moment is within some seconds after another.
func around(moment time.Time) func(time.Time) bool {
	return func(at time.Time) bool { return at.After(moment) && at.Before(moment.Add(20*time.Second)) }
}

const leftOut = -1

// readyAt has the pod of that target be ready since some time.
func readyAt(o *observe.Observation, since time.Time) {
	target := firstTarget(o)
	for i := range o.Pods {
		if o.Pods[i].Namespace == target.Namespace && o.Pods[i].Name == target.Pod {
			o.Pods[i].Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(since)}}
		}
	}
}

func TestPastRotationsSurvived(t *testing.T) {
	unwatched := func(o *observe.Observation) { o.History.Watched, o.History.Renewals = nil, nil }
	examineFrom(t, pastRotationsSurvived, stood, []spoilt{
		{"a scrape failed at a renewal", func(o *observe.Observation) { scraped(o, o.History.From, around(noon(*o)), 0) }, reports.Fail, "was renewed between"},
		{"scrapes were left out at a renewal", func(o *observe.Observation) { scraped(o, o.History.From, around(noon(*o)), leftOut) }, reports.Fail, "was not scraped for"},
		{"a scrape failed as the target's own was renewed", func(o *observe.Observation) {
			scraped(o, o.History.From, around(noon(*o).Add(6*time.Hour)), 0)
			o.History.Renewals = append(o.History.Renewals, observe.Renewal{Pod: podName(firstTarget(o)), After: noon(*o).Add(6 * time.Hour), Before: noon(*o).Add(6*time.Hour + time.Minute)})
		}, reports.Fail, "was renewed between"},
		{"a scrape failed long after", func(o *observe.Observation) { scraped(o, o.History.From, around(noon(*o).Add(time.Hour)), 0) }, reports.Pass, ""},
		{"a target is young", func(o *observe.Observation) {
			scraped(o, noon(*o), func(time.Time) bool { return false }, 0)
		}, reports.Pass, ""},
		{"the first scrapes failed before the pod was ready", func(o *observe.Observation) {
			unwatched(o)
			readyAt(o, noon(*o).Add(20*time.Second))
			scraped(o, noon(*o), func(at time.Time) bool { return at.Before(noon(*o).Add(20 * time.Second)) }, 0)
		}, reports.Pass, ""},
		{"the first scrapes failed after the pod was ready", func(o *observe.Observation) {
			unwatched(o)
			readyAt(o, noon(*o).Add(10*time.Second))
			scraped(o, noon(*o), func(at time.Time) bool { return at.Before(noon(*o).Add(20 * time.Second)) }, 0)
		}, reports.Inconclusive, "lost scrapes"},
		{"scrapes failed before the pod was ready once more", func(o *observe.Observation) {
			unwatched(o)
			readyAt(o, noon(*o).Add(time.Hour))
			scraped(o, noon(*o), around(noon(*o).Add(30*time.Minute)), 0)
		}, reports.Inconclusive, "lost scrapes"},
		{"no renewal lies in what is stored", func(o *observe.Observation) { o.History.Renewals = nil }, reports.Inconclusive, "was not renewed in what is stored"},
		{"when it was renewed is not stored, and nothing was lost", unwatched, reports.Pass, ""},
		{"when it was renewed is not stored, and a scrape was lost", func(o *observe.Observation) {
			unwatched(o)
			scraped(o, o.History.From, around(noon(*o)), 0)
		}, reports.Inconclusive, "when its certificate was renewed is not stored"},
		{"less is stored than a certificate lives", func(o *observe.Observation) {
			unwatched(o)
			o.History.From = o.History.To.Add(-10 * time.Second)
		}, reports.Inconclusive, "whether it was renewed in that time is not known"},
		{"nobody asked", func(o *observe.Observation) { o.History = nil }, reports.Inconclusive, "nobody asked Prometheus"},
		{"a replica was not asked", func(o *observe.Observation) { o.History.Replicas = o.History.Replicas[1:] }, reports.Inconclusive, "was not read"},
		{"nothing is stored of a target", func(o *observe.Observation) { o.History.Replicas[0].Stored = nil }, reports.Inconclusive, "has stored no scrape"},
		{"which scrapes were lost was not read", func(o *observe.Observation) {
			o.History.Replicas[0].Stored[0].Up, o.History.Replicas[0].Stored[0].Open = 5, true
		}, reports.Inconclusive, "which were lost was not read"},
		{"what is stored could not be read", couldNotRead("the stored scrapes of prometheus-default-0"), reports.Inconclusive, "could not be read"},
	})
}

func TestHowLongACertificateLivesIsSetInTheMeshOrThePod(t *testing.T) {
	o := good(t)
	s := &subject{Observation: o}
	s.Mesh.ProxyMetadata = nil
	d, source := lifetime(s, nil)
	assert.Equal(t, defaultLifetime, d)
	assert.Equal(t, "Istio's default", source)
	s.Mesh.ProxyMetadata = map[string]string{"SECRET_TTL": "2h"}
	d, _ = lifetime(s, nil)
	assert.Equal(t, 2*time.Hour, d)
	d, source = lifetime(s, firstReplicaPod(&o))
	assert.Equal(t, 20*time.Second, d)
	assert.Equal(t, "SECRET_TTL", source)
}
