package faults

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe/recorded"
)

// TestRecordedFaults judges again what was observed of the real stack: every fault
// must come out as the catalogue says.
func TestRecordedFaults(t *testing.T) {
	recordings, err := filepath.Glob("testdata/*" + suffix)
	require.NoError(t, err)
	done := map[string]bool{}
	for _, path := range recordings {
		id := strings.TrimSuffix(filepath.Base(path), suffix)
		done[id] = true
		t.Run(id, func(t *testing.T) {
			f, ok := find(id)
			require.True(t, ok, "%s is a recording of no fault: remove it", path)
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.LessOrEqual(t, len(content), recordingBytes)
			o, err := recorded.Unpack(content)
			require.NoError(t, err)
			r := Compare(f, Judge(f, o))
			assert.Empty(t, r.Missed)
			assert.Empty(t, r.Misled)
		})
	}
	for _, f := range Catalogue() {
		assert.True(t, done[f.ID], "%s has no recording: run make faults RECORD=suites/faults/testdata FAULT=^%[1]s$", f.ID)
	}
}

// realObservation is one of the real stack, of another suite's test data.
func realObservation(t *testing.T) observe.Observation {
	t.Helper()
	return recorded.Load(recorded.Good)
}

func TestARecordingIsReadAsItWasWritten(t *testing.T) {
	o := realObservation(t)
	packed, err := pack(o)
	require.NoError(t, err)
	again, err := pack(o)
	require.NoError(t, err)
	assert.Equal(t, packed, again, "equal observations give equal bytes")
	read, err := recorded.Unpack(packed)
	require.NoError(t, err)
	want, err := json.Marshal(o)
	require.NoError(t, err)
	got, err := json.Marshal(read)
	require.NoError(t, err)
	assert.JSONEq(t, string(want), string(got))
}

func TestShrinkLeavesWhatConcernsTheSubject(t *testing.T) {
	in := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name}
	}
	operator := corev1.Pod{ObjectMeta: in("default", "prometheus-operator-1")}
	operator.Labels = map[string]string{"app.kubernetes.io/name": "prometheus-operator"}
	o := observe.Observation{
		Namespaces: []corev1.Namespace{{ObjectMeta: in("", "fault-x")}, {ObjectMeta: in("", "fault-y")}, {ObjectMeta: in("", "istio-system")}},
		Pods: []corev1.Pod{
			{ObjectMeta: in("fault-x", "a")}, {ObjectMeta: in("fault-x-other", "b")}, {ObjectMeta: in("fault-y", "c")},
			operator, {ObjectMeta: in("default", "details")}, {ObjectMeta: in("istio-system", "istiod")},
		},
		OtherPrometheuses:   []monitoringv1.Prometheus{{ObjectMeta: in("fault-y", "default")}},
		ServiceMonitors:     []monitoringv1.ServiceMonitor{{ObjectMeta: in("fault-y", "m")}, {ObjectMeta: in("fault-x-other", "m")}},
		PeerAuthentications: []*securityv1.PeerAuthentication{nil, {ObjectMeta: in("istio-system", "default")}, {ObjectMeta: in("fault-y", "default")}},
		Events:              []observe.Event{{Kind: "Node"}, {Kind: "Pod", Namespace: "fault-x"}, {Kind: "Pod", Namespace: "fault-y"}},
		Access:              []observe.Access{{Namespace: "bookinfo", Resource: "pods"}},
		Replicas:            []observe.Replica{{Pod: "prometheus-default-0"}},
		Unread:              []observe.Unread{{What: "x"}},
	}
	s := Shrink(o, "fault-x")
	var names []string
	for _, p := range s.Pods {
		names = append(names, p.Name)
	}
	assert.Equal(t, []string{"a", "b", "prometheus-operator-1", "istiod"}, names)
	assert.Len(t, s.Namespaces, 2)
	assert.NotNil(t, s.OtherPrometheuses, "that somebody looked for them must stay")
	assert.Empty(t, s.OtherPrometheuses)
	assert.Len(t, s.ServiceMonitors, 1)
	assert.Len(t, s.PeerAuthentications, 1)
	assert.Len(t, s.Events, 1)
	assert.Equal(t, [3]int{1, 1, 1}, [3]int{len(s.Access), len(s.Replicas), len(s.Unread)})
	assert.Len(t, o.Pods, 6, "what was observed is not touched")
	assert.Nil(t, Shrink(observe.Observation{}, "x").Pods)
}

// The real observation is of the namespace default, which is then the subject's.
func TestARecordingOfTheRealStackIsSmallAndJudgedTheSame(t *testing.T) {
	o := realObservation(t)
	f := Fault{ID: "whatever"}
	before := Compare(f, Judge(f, o))
	dir := t.TempDir()
	small := Shrink(o, "default")
	small.Watch = nil
	small.Pods = slices.DeleteFunc(slices.Clone(small.Pods), func(p corev1.Pod) bool {
		app := p.Labels["app"]
		return app == "reviews" || app == "ratings" || app == "details"
	})
	require.NoError(t, Record(dir, f, small, before))
	info, err := os.Stat(filepath.Join(dir, "whatever"+suffix))
	require.NoError(t, err)
	assert.Less(t, info.Size(), int64(recordingBytes))

	before.First = "something-else"
	assert.ErrorContains(t, Record(dir, f, small, before), "the recording of whatever, which has only what concerns it, is judged otherwise")
}
