package diagnosis

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"istio.io/api/annotation"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// How the containers are called that matter here.
const (
	proxyName      = "istio-proxy"
	prometheusName = "prometheus"
)

// proxyOf returns the sidecar of a pod, native or classic, or nil.
func proxyOf(pod *corev1.Pod) *corev1.Container {
	if pod == nil {
		return nil
	}
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			if containers[i].Name == proxyName {
				return &containers[i]
			}
		}
	}
	return nil
}

// setup is how certificates are to get from a proxy to Prometheus: as a pod has
// it or, if it has no proxy, as the Prometheus object asks for it.
type setup struct {
	name       string // "pod default/prometheus-default-0" or "Prometheus default/default"
	about      []string
	pod        *corev1.Pod // nil if only the object is there
	troubled   bool        // a file is missing, or a scrape fails for want of one
	variables  map[string]string
	proxy      []corev1.VolumeMount
	prometheus []corev1.VolumeMount
	volumes    []string
}

// allSetups lists one for each replica with a proxy, or one for the object.
func (f *facts) allSetups() []setup {
	var all []setup
	for _, r := range f.replicas {
		proxy := proxyOf(r.pod)
		if proxy == nil {
			continue
		}
		s := setup{name: "pod " + f.namespace + "/" + r.name, about: []string{"replica " + r.name}, pod: r.pod,
			troubled: f.filesTroubled(r), variables: variablesOf(proxy), proxy: proxy.VolumeMounts}
		for _, c := range r.pod.Spec.Containers {
			if c.Name == prometheusName {
				s.prometheus = c.VolumeMounts
			}
		}
		for _, v := range r.pod.Spec.Volumes {
			s.volumes = append(s.volumes, v.Name)
		}
		all = append(all, s)
	}
	if len(all) > 0 || f.o.Prometheus == nil {
		return all
	}
	s := setup{name: f.prometheus, about: []string{aboutPrometheus}, troubled: true, variables: map[string]string{}, prometheus: f.spec.VolumeMounts}
	for k, v := range f.o.Mesh.ProxyMetadata {
		s.variables[k] = v
	}
	own, _ := f.proxyMetadata()
	for k, v := range own {
		s.variables[k] = v
	}
	s.proxy, _ = f.userMounts()
	for _, v := range f.spec.Volumes {
		s.volumes = append(s.volumes, v.Name)
	}
	return []setup{s}
}

// variablesOf are the settings of a proxy.
func variablesOf(proxy *corev1.Container) map[string]string {
	variables := map[string]string{}
	for _, e := range proxy.Env {
		variables[e.Name] = e.Value
	}
	return variables
}

func (f *facts) podAnnotation(name string) string {
	if f.spec.PodMetadata == nil {
		return ""
	}
	return f.spec.PodMetadata.Annotations[name]
}

// proxyMetadata reads what the Prometheus object asks of the proxy.
func (f *facts) proxyMetadata() (map[string]string, error) {
	text := f.podAnnotation(annotation.ProxyConfig.Name)
	var config struct {
		ProxyMetadata map[string]any `json:"proxyMetadata"`
	}
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		return nil, err
	}
	metadata := map[string]string{}
	for k, v := range config.ProxyMetadata {
		s, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("proxyMetadata.%s is %v, a %T, where Istio takes a text only", k, v, v)
		}
		metadata[k] = s
	}
	return metadata, nil
}

// userMounts reads which mounts the Prometheus object asks the proxy to have.
func (f *facts) userMounts() ([]corev1.VolumeMount, error) {
	text := f.podAnnotation(annotation.SidecarUserVolumeMount.Name)
	if text == "" {
		return nil, nil
	}
	var mounts []corev1.VolumeMount
	if err := json.Unmarshal([]byte(text), &mounts); err != nil {
		return nil, err
	}
	return mounts, nil
}

// outputDir is where the proxy is told to write certificates.
func (s setup) outputDir() string {
	if s.variables["OUTPUT_CERTS"] == "" {
		return ""
	}
	return path.Clean(s.variables["OUTPUT_CERTS"])
}

// shared is the proxy's mount that holds the directory it writes to.
func (s setup) shared() (corev1.VolumeMount, bool) { return mountOf(s.proxy, s.outputDir()) }

// mountOf is the innermost mount that holds a path.
func mountOf(mounts []corev1.VolumeMount, p string) (corev1.VolumeMount, bool) {
	var best corev1.VolumeMount
	for _, m := range mounts {
		if inside(p, m.MountPath) && len(m.MountPath) >= len(best.MountPath) {
			best = m
		}
	}
	return best, best.MountPath != ""
}

func inside(p, dir string) bool {
	p, dir = path.Clean(p), path.Clean(dir)
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

// published is where Prometheus sees what the proxy writes.
func (s setup) published() (dir string, ok bool) {
	shared, ok := s.shared()
	if !ok {
		return "", false
	}
	i := slices.IndexFunc(s.prometheus, func(m corev1.VolumeMount) bool { return m.Name == shared.Name })
	if i < 0 {
		return "", false
	}
	return path.Join(s.prometheus[i].MountPath, strings.TrimPrefix(s.outputDir(), path.Clean(shared.MountPath))), true
}

// namedFile is a certificate file that a selected monitor makes Prometheus read.
type namedFile struct {
	path  string
	role  string
	names string // who names it, and in which field
	at    string // "ServiceMonitor default/productpage: set spec.endpoints[0].tlsConfig.caFile"
	about []string
}

func (f *facts) allFiles() []namedFile {
	var all []namedFile
	for _, m := range f.monitors {
		if !m.Selected {
			continue
		}
		for _, j := range m.Jobs {
			for _, x := range j.Files {
				owner, field, _ := strings.Cut(x.By, ", ")
				if owner == m.String() {
					field = "spec." + field
				}
				all = append(all, namedFile{path: x.Path, role: x.Role, names: x.By, at: owner + ": set " + field, about: m.about()})
			}
		}
	}
	return all
}

// proxyUnready reports whether a pod's proxy has started and is not ready. Its agent
// says so until the certificates are where it is to write them, and a native sidecar
// keeps everything else in the pod from starting until then.
func proxyUnready(p *corev1.Pod) bool {
	if p == nil {
		return false
	}
	return slices.ContainsFunc(slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses), func(s corev1.ContainerStatus) bool {
		return s.Name == proxyName && s.State.Running != nil && !s.Ready
	})
}

// filesTroubled reports whether a replica lacks a certificate file, or fails as if
// it did.
func (f *facts) filesTroubled(r *replica) bool {
	if r.seen == nil || proxyUnready(r.pod) {
		return true
	}
	for _, x := range r.files {
		if x.Error != "" || x.ParseError != "" {
			return true
		}
	}
	if len(r.files) == 0 && r.seen.Certificate == nil && len(f.files) > 0 {
		return true
	}
	for _, t := range f.targets {
		for _, s := range t.scrapes {
			if s.replica == r.name && (s.state == missing || s.state == down && slices.Contains(fileClasses, classify(s.err))) {
				return true
			}
		}
	}
	return false
}
