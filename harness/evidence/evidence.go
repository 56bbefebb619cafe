// Package evidence writes to disk what a person needs to find out why a run went
// wrong, before anything is cleaned up.
//
// It never reads Secrets, and of pods it keeps no values of environment variables.
//
// Read [Collect] first.
package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

const (
	// Timeout bounds the whole collection: a dead API server must not keep a run
	// from cleaning up.
	Timeout = 45 * time.Second
	// logLines is how much is kept of each container's log.
	logLines = 2000
	// logBytes bounds one log, whatever its lines are like.
	logBytes = 4 << 20
)

// resources are the collections that are kept, one file each.
var resources = []schema.GroupVersionResource{
	{Version: "v1", Resource: "pods"},
	{Version: "v1", Resource: "services"},
	{Version: "v1", Resource: "namespaces"},
	{Version: "v1", Resource: "events"},
	{Version: "v1", Resource: "nodes"},
	{Group: "apps", Version: "v1", Resource: "deployments"},
	{Group: "apps", Version: "v1", Resource: "statefulsets"},
	{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"},
	{Group: "monitoring.coreos.com", Version: "v1", Resource: "prometheuses"},
	{Group: "monitoring.coreos.com", Version: "v1", Resource: "servicemonitors"},
	{Group: "security.istio.io", Version: "v1", Resource: "peerauthentications"},
	{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"},
}

// ofTheCluster are those of them that are in no namespace.
var ofTheCluster = map[string]bool{"namespaces": true, "nodes": true, "mutatingwebhookconfigurations": true}

// Collect writes objects and logs into dir, of one namespace or, if that is empty, of
// the whole cluster: in one that is not ours, the rest is none of our business. It
// collects what it can: the error names what it could not, for the reader to know of.
func Collect(ctx context.Context, config *rest.Config, dir, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("preparing to collect evidence: %w", err)
	}
	k, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("preparing to collect evidence: %w", err)
	}
	for _, d := range []string{"objects", "logs"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return fmt.Errorf("making room for evidence: %w", err)
		}
	}
	kept := resources
	if namespace != "" {
		kept = slices.DeleteFunc(slices.Clone(kept), func(r schema.GroupVersionResource) bool { return ofTheCluster[r.Resource] })
	}
	failures := make([]error, len(kept)+1)
	var g errgroup.Group
	g.SetLimit(6)
	for i, r := range kept {
		g.Go(func() error {
			failures[i] = collectObjects(ctx, objects.Resource(r).Namespace(namespace), r, filepath.Join(dir, "objects"))
			return nil
		})
	}
	failures[len(kept)] = collectLogs(ctx, k, filepath.Join(dir, "logs"), namespace)
	_ = g.Wait() // failures are kept above
	return errors.Join(failures...)
}

func collectObjects(ctx context.Context, collection dynamic.ResourceInterface, r schema.GroupVersionResource, dir string) error {
	list, err := collection.List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return nil // the cluster does not know this kind: there is none to keep
	}
	if err != nil {
		return fmt.Errorf("listing %s: %w", r.Resource, err)
	}
	for i := range list.Items {
		list.Items[i].SetManagedFields(nil)
		unstructured.RemoveNestedField(list.Items[i].Object, "metadata", "annotations", corev1.LastAppliedConfigAnnotation) // it repeats the values as text
		hideValues(list.Items[i].Object)
	}
	content, err := yaml.Marshal(list.UnstructuredContent())
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, r.Resource+".yaml"), content, 0o644)
}

// hideValues empties every env[].value below a node: people put secrets there.
func hideValues(node any) {
	switch v := node.(type) {
	case map[string]any:
		if env, ok := v["env"].([]any); ok {
			for _, e := range env {
				if m, ok := e.(map[string]any); ok && m["value"] != nil {
					m["value"] = "(not kept)"
				}
			}
		}
		for _, child := range v {
			hideValues(child)
		}
	case []any:
		for _, child := range v {
			hideValues(child)
		}
	case *unstructured.Unstructured:
		hideValues(v.Object)
	}
}

func collectLogs(ctx context.Context, k kubernetes.Interface, dir, namespace string) error {
	pods, err := k.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing pods for their logs: %w", err)
	}
	var g errgroup.Group
	g.SetLimit(6)
	var mu sync.Mutex
	var failures []error
	for _, p := range pods.Items {
		for _, c := range append(p.Spec.InitContainers, p.Spec.Containers...) {
			g.Go(func() error {
				if err := collectLog(ctx, k, p, c.Name, dir); err != nil {
					mu.Lock()
					defer mu.Unlock()
					failures = append(failures, err)
				}
				return nil
			})
		}
	}
	_ = g.Wait() // failures are kept above
	return errors.Join(failures...)
}

func collectLog(ctx context.Context, k kubernetes.Interface, p corev1.Pod, container, dir string) error {
	lines := int64(logLines)
	stream, err := k.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{Container: container, TailLines: &lines}).Stream(ctx)
	if err != nil {
		if strings.Contains(err.Error(), "waiting to start") || strings.Contains(err.Error(), "is terminated") {
			return nil // it has no log
		}
		return fmt.Errorf("reading the log of %s/%s, container %s: %w", p.Namespace, p.Name, container, err)
	}
	defer stream.Close()
	f, err := os.Create(filepath.Join(dir, p.Namespace+"_"+p.Name+"_"+container+".log"))
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, io.LimitReader(stream, logBytes)); err != nil {
		f.Close()
		return fmt.Errorf("keeping the log of %s/%s, container %s: %w", p.Namespace, p.Name, container, err)
	}
	return f.Close()
}
