// Package simulated is as much of a cluster as a Job is made, followed and removed by,
// for tests: an API server that keeps what is applied, and a pod whose states and log are
// given.
//
// It runs nothing, and knows nothing of what a real cluster would refuse.
//
// Read [Cluster] first.
package simulated

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"istio.io/api/label"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// Pod is the name of the Job's pod.
const Pod = "mtls-scrape-certify-x7k2p"

// Cluster is the API server. Its fields are set before it is asked.
type Cluster struct {
	// Pods are the states of the Job's pod, each for one look at it; the last one stays.
	// A nil one is that there is none.
	Pods []*corev1.PodStatus
	// Logs are what the pod's log gives, each to one who reads it; the last one stays.
	Logs []string
	// Failed is why the Job failed, if it did.
	Failed *batchv1.JobCondition
	// Warning is what an event of the Job says, if there is one.
	Warning string
	// Forbidden are beginnings of requests, as in "PATCH /apis/batch", that are refused.
	Forbidden []string
	// Stuck are ends of paths whose objects are never removed.
	Stuck []string
	// Revisions are those of the control planes.
	Revisions []string
	// Prometheuses are the names of those objects.
	Prometheuses []types.NamespacedName

	mu      sync.Mutex
	objects map[string]map[string]any
	changed []string
}

// Start serves the cluster until the test ends, and returns how to reach it.
func (c *Cluster) Start(t testing.TB) *rest.Config {
	t.Helper()
	c.objects = map[string]map[string]any{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL, QPS: -1}
}

// Objects are the paths of what is there, sorted.
func (c *Cluster) Objects() (paths []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range c.objects {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

// Object is what was applied under a path; nil if nothing was, or it was removed.
func (c *Cluster) Object(path string) map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.objects[path]
}

// Changed are the requests that changed something, in their order.
func (c *Cluster) Changed() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.changed)
}

// kinds are those that a client may ask for, by the path of their group.
var kinds = map[string][]metav1.APIResource{
	"/api/v1":                            {{Name: "namespaces", Kind: "Namespace"}, {Name: "serviceaccounts", Kind: "ServiceAccount", Namespaced: true}},
	"/apis/rbac.authorization.k8s.io/v1": {{Name: "clusterroles", Kind: "ClusterRole"}, {Name: "clusterrolebindings", Kind: "ClusterRoleBinding"}},
	"/apis/batch/v1":                     {{Name: "jobs", Kind: "Job", Namespaced: true}},
	"/apis/monitoring.coreos.com/v1":     {{Name: "prometheuses", Kind: "Prometheus", Namespaced: true}},
}

// ServeHTTP answers as an API server does.
func (c *Cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	request := r.Method + " " + r.URL.Path
	if slices.ContainsFunc(c.Forbidden, func(f string) bool { return strings.HasPrefix(request, f) }) {
		refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden, request+" is forbidden: because")
		return
	}
	if r.Method == http.MethodGet {
		c.read(w, r.URL.Path)
		return
	}
	c.changed = append(c.changed, request)
	c.change(w, r)
}

func (c *Cluster) change(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if r.Method == http.MethodDelete {
		if c.objects[path] == nil {
			refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, path)
			return
		}
		if !slices.ContainsFunc(c.Stuck, func(s string) bool { return strings.HasSuffix(path, s) }) {
			delete(c.objects, path)
			for other := range c.objects { // with a namespace goes what is in it
				if strings.Contains(other, strings.TrimPrefix(path, "/api/v1")+"/") {
					delete(c.objects, other)
				}
			}
		}
		answer(w, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Success"})
		return
	}
	o, err := decode(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	if r.Header.Get("Content-Type") == string(types.MergePatchType) {
		c.merge(w, path, o)
		return
	}
	metadata := o["metadata"].(map[string]any)
	metadata["uid"] = "uid-" + metadata["name"].(string)
	if r.Method == http.MethodPost {
		path += "/" + metadata["name"].(string)
	}
	c.objects[path] = o
	answer(w, o)
}

// merge changes fields of the spec of an object that is there.
func (c *Cluster) merge(w http.ResponseWriter, path string, patch map[string]any) {
	if c.objects[path] == nil {
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, path)
		return
	}
	spec := c.objects[path]["spec"].(map[string]any)
	for field, value := range patch["spec"].(map[string]any) {
		if spec[field] = value; value == nil {
			delete(spec, field)
		}
	}
	answer(w, c.objects[path])
}

// decode reads an object in JSON, as it is applied, or as typed clients send it.
func decode(r *http.Request) (o map[string]any, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &o) == nil {
		return o, err
	}
	typed, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		return nil, err
	}
	return runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
}

func (c *Cluster) read(w http.ResponseWriter, path string) {
	switch {
	case path == "/api":
		answer(w, metav1.APIVersions{Versions: []string{"v1"}})
	case path == "/apis":
		answer(w, groups())
	case kinds[path] != nil:
		version := strings.TrimPrefix(strings.TrimPrefix(path, "/apis/"), "/api/")
		answer(w, metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: version, APIResources: kinds[path]})
	case strings.HasSuffix(path, "/pods/"+Pod+"/log"):
		_, _ = io.WriteString(w, next(&c.Logs))
	case strings.HasSuffix(path, "/pods/"+Pod):
		if status := next(&c.Pods); status != nil {
			answer(w, pod(*status))
			return
		}
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, path)
	case strings.HasSuffix(path, "/pods"):
		var list corev1.PodList
		if status := next(&c.Pods); status != nil {
			list.Items = append(list.Items, pod(*status))
		}
		answer(w, list)
	case strings.HasSuffix(path, "/jobs"):
		list := batchv1.JobList{Items: []batchv1.Job{{}}}
		if c.Failed != nil {
			list.Items[0].Status.Conditions = []batchv1.JobCondition{*c.Failed}
		}
		answer(w, list)
	case strings.HasSuffix(path, "/events"):
		answer(w, c.events())
	case strings.HasSuffix(path, "/prometheuses"):
		answer(w, c.prometheuses())
	case strings.HasSuffix(path, "/deployments"):
		answer(w, c.controlPlanes())
	case c.objects[path] != nil:
		answer(w, c.objects[path])
	default:
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, path)
	}
}

// groups are those that the kinds are of, but for the one without a name.
func groups() (list metav1.APIGroupList) {
	for path := range kinds {
		if group, version, ok := strings.Cut(strings.TrimPrefix(path, "/apis/"), "/"); ok && strings.HasPrefix(path, "/apis/") {
			v := metav1.GroupVersionForDiscovery{GroupVersion: group + "/" + version, Version: version}
			list.Groups = append(list.Groups, metav1.APIGroup{Name: group, Versions: []metav1.GroupVersionForDiscovery{v}, PreferredVersion: v})
		}
	}
	return list
}

func (c *Cluster) events() corev1.EventList {
	var list corev1.EventList
	if c.Warning != "" {
		list.Items = append(list.Items, corev1.Event{
			InvolvedObject: corev1.ObjectReference{Kind: "Job", Name: "mtls-scrape-certify"}, Type: corev1.EventTypeWarning, Reason: "FailedCreate", Message: c.Warning,
		})
	}
	return list
}

func (c *Cluster) controlPlanes() metav1.PartialObjectMetadataList {
	var list metav1.PartialObjectMetadataList
	for _, r := range c.Revisions {
		list.Items = append(list.Items, metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "istiod", Labels: map[string]string{"app": "istiod", label.IoIstioRev.Name: r}}})
	}
	return list
}

func (c *Cluster) prometheuses() (list monitoringv1.PrometheusList) {
	for _, n := range c.Prometheuses {
		list.Items = append(list.Items, monitoringv1.Prometheus{ObjectMeta: metav1.ObjectMeta{Namespace: n.Namespace, Name: n.Name}})
	}
	return list
}

func pod(status corev1.PodStatus) corev1.Pod {
	return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: Pod}, Spec: corev1.PodSpec{NodeName: "node-1"}, Status: status}
}

// next is the first of several, which is taken from them unless it is the only one.
func next[T any](all *[]T) (first T) {
	if len(*all) == 0 {
		return first
	}
	first = (*all)[0]
	if len(*all) > 1 {
		*all = (*all)[1:]
	}
	return first
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: reason, Code: int32(code), Message: message,
	})
}

// Running is a pod in which the suite runs.
func Running() *corev1.PodStatus {
	return state(corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
}

// Waiting is one whose container waits.
func Waiting(reason, message string) *corev1.PodStatus {
	return state(corev1.PodPending, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}})
}

// Ended is one in which the suite has ended.
func Ended(code int32) *corev1.PodStatus {
	phase := corev1.PodSucceeded
	if code != 0 {
		phase = corev1.PodFailed
	}
	return state(phase, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}})
}

// Killed is one whose container was ended for a reason, as for its memory.
func Killed(code int32, reason string) *corev1.PodStatus {
	return state(corev1.PodFailed, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason}})
}

func state(phase corev1.PodPhase, c corev1.ContainerState) *corev1.PodStatus {
	return &corev1.PodStatus{Phase: phase, ContainerStatuses: []corev1.ContainerStatus{{Name: "conformance", State: c}}}
}
