package diagnosis

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"istio.io/api/annotation"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// volumeRules follow the certificates from the directory that the proxy writes to
// into the Prometheus container. They are asked only where a file is missing or a
// scrape fails for want of one: who brings certificates another way is not wrong.
var volumeRules = []Rule{
	{
		Code: "output-certs-not-set", Layer: LayerFiles,
		Title:   "The proxy is not told to write its certificates anywhere",
		Hides:   consequencesOfNoFiles,
		Explain: outputCertsNotSet,
	},
	{
		Code: "user-volume-mount-missing", Layer: LayerFiles,
		Title:   "The proxy does not mount the volume that it is to write to",
		Hides:   consequencesOfNoFiles,
		Explain: func(f *facts) []finding { return notMounted(f, false) },
	},
	{
		Code: "output-certs-elsewhere", Layer: LayerFiles,
		Title:   "The proxy writes to a directory that is not the one where it mounts the volume",
		Hides:   consequencesOfNoFiles,
		Explain: func(f *facts) []finding { return notMounted(f, true) },
	},
	{
		Code: "prometheus-volume-mount-missing", Layer: LayerFiles,
		Title:   "The Prometheus container does not mount the volume with the certificates",
		Hides:   consequencesOfNoFiles,
		Explain: func(f *facts) []finding { return notShared(f, false) },
	},
	{
		Code: "volumes-differ", Layer: LayerFiles,
		Title:   "Proxy and Prometheus mount different volumes",
		Hides:   consequencesOfNoFiles,
		Explain: func(f *facts) []finding { return notShared(f, true) },
	},
	{
		Code: "certificate-path-elsewhere", Layer: LayerFiles,
		Title:   "A monitor names a file where the proxy writes none",
		Hides:   consequencesOfNoFiles,
		Explain: certificatePathElsewhere,
	},
	{
		Code: "certificate-files-swapped", Layer: LayerFiles,
		Title:   "A monitor names the wrong one of the three files",
		Hides:   append([]string{"certificate-file-invalid", "certificate-key-mismatch"}, consequencesOfNoFiles...),
		Explain: certificateFilesSwapped,
	},
}

var consequencesOfNoFiles = []string{"prometheus-pod-not-ready", "certificate-file-missing", "pool-not-made", "pools-made-before-files", "configuration-not-loaded"}

// troubledSetups are those in which files are missing that a monitor names.
func (f *facts) troubledSetups() []setup {
	if len(f.files) == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(f.sets), func(s setup) bool { return !s.troubled })
}

// metadataField is where the Prometheus object says what the proxy's variables are.
var metadataField = "spec.podMetadata.annotations." + annotation.ProxyConfig.Name

func outputCertsNotSet(f *facts) []finding {
	var found []finding
	for _, s := range f.troubledSetups() {
		if s.outputDir() != "" {
			continue
		}
		dir := "/etc/istio-output-certs"
		if mounts, _ := f.userMounts(); len(mounts) > 0 {
			dir = mounts[0].MountPath
		}
		found = append(found, certain(f.aboutFiles(s), s.name+" has no OUTPUT_CERTS among the variables of its proxy",
			fmt.Sprintf("%s: set proxyMetadata.OUTPUT_CERTS in %s to %s", f.prometheus, metadataField, dir)))
	}
	return found
}

// aboutFiles is what depends on the certificates of a setup: the replica, and all
// monitors that name files.
func (f *facts) aboutFiles(s setup) []string {
	about := slices.Clone(s.about)
	for _, x := range f.files {
		about = append(about, x.about...)
	}
	return about
}

// notMounted finds proxies whose output directory is in no volume. If another
// volume of the owner's is mounted, it is the directory that is wrong.
func notMounted(f *facts, elsewhere bool) []finding {
	var found []finding
	for _, s := range f.troubledSetups() {
		dir := s.outputDir()
		if dir == "" {
			continue
		}
		m, ok := s.shared()
		if ok && f.ownVolume(m.Name) {
			continue
		}
		own := slices.IndexFunc(s.proxy, func(m corev1.VolumeMount) bool { return f.ownVolume(m.Name) })
		var x finding
		switch {
		case own >= 0 && elsewhere:
			x = certain(f.aboutFiles(s), fmt.Sprintf("the proxy of %s writes to %s (OUTPUT_CERTS), and mounts the volume %s at %s", s.name, dir, s.proxy[own].Name, s.proxy[own].MountPath),
				fmt.Sprintf("%s: set proxyMetadata.OUTPUT_CERTS in %s to %s", f.prometheus, metadataField, path.Clean(s.proxy[own].MountPath)))
		case own < 0 && !elsewhere:
			name := "istio-certs"
			if len(f.spec.Volumes) > 0 {
				name = f.spec.Volumes[0].Name
			}
			x = certain(f.aboutFiles(s), fmt.Sprintf("the proxy of %s is to write to %s (OUTPUT_CERTS) and mounts no volume there", s.name, dir),
				fmt.Sprintf(`%s: set spec.podMetadata.annotations.%s to '[{"name": %q, "mountPath": %q}]'`, f.prometheus, annotation.SidecarUserVolumeMount.Name, name, dir))
		default:
			continue
		}
		if proxyUnready(s.pod) {
			x.layer = LayerOperator // the pod waits for its proxy, and the proxy for its certificates
		}
		found = append(found, x)
	}
	return found
}

// ownVolume reports whether a volume is one that the owner of the Prometheus asked
// for, rather than one of Istio's.
func (f *facts) ownVolume(name string) bool {
	if slices.ContainsFunc(f.spec.Volumes, func(v corev1.Volume) bool { return v.Name == name }) {
		return true
	}
	mounts, _ := f.userMounts()
	return slices.ContainsFunc(mounts, func(m corev1.VolumeMount) bool { return m.Name == name })
}

// notShared finds setups in which the proxy's volume is not in the Prometheus
// container. If another volume is where the monitors look, the two differ.
func notShared(f *facts, differ bool) []finding {
	var found []finding
	for _, s := range f.troubledSetups() {
		shared, ok := s.shared()
		if _, published := s.published(); !ok || published || !f.ownVolume(shared.Name) {
			continue
		}
		files := f.files
		other, hasOther := mountOf(s.prometheus, files[0].path)
		hasOther = hasOther && f.ownVolume(other.Name)
		switch {
		case differ && hasOther:
			found = append(found, certain(f.aboutFiles(s), fmt.Sprintf("in %s the proxy writes to the volume %s, and Prometheus looks for %s in the volume %s", s.name, shared.Name, files[0].path, other.Name),
				fmt.Sprintf("%s: set the name of the entry of spec.volumeMounts at %s to %s", f.prometheus, other.MountPath, shared.Name)))
		case !differ && !hasOther:
			found = append(found, certain(f.aboutFiles(s), fmt.Sprintf("in %s the proxy writes to the volume %s, which the %s container does not mount", s.name, shared.Name, prometheusName),
				fmt.Sprintf("%s: add to spec.volumeMounts {name: %s, mountPath: %s}", f.prometheus, shared.Name, path.Dir(files[0].path))))
		}
	}
	return found
}

// fileOf is what the proxy calls the file for a role.
var fileOf = map[string]string{observe.RoleCA: "root-cert.pem", observe.RoleCert: "cert-chain.pem", observe.RoleKey: "key.pem"}

func isProxyFile(name string) bool {
	return name == "root-cert.pem" || name == "cert-chain.pem" || name == "key.pem"
}

func certificatePathElsewhere(f *facts) []finding {
	var found []finding
	for _, s := range f.troubledSetups() {
		dir, ok := s.published()
		if !ok {
			continue
		}
		for _, x := range f.files {
			if path.Dir(path.Clean(x.path)) == dir && isProxyFile(path.Base(x.path)) || f.fileThere(s, x.path) {
				continue
			}
			found = append(found, certain(append(slices.Clone(x.about), s.about...), fmt.Sprintf("%s names the file %s; the proxy of %s writes to the volume that Prometheus has at %s", x.names, x.path, s.name, dir),
				x.at+" to "+path.Join(dir, fileOf[x.role])))
		}
	}
	return found
}

// fileThere reports whether a file was seen to be there, whoever put it there.
func (f *facts) fileThere(s setup, p string) bool {
	for _, r := range f.replicas {
		if r.seen == nil || s.pod == nil || r.pod != s.pod {
			continue
		}
		for _, x := range r.files {
			if x.Path == p {
				return x.Error == ""
			}
		}
	}
	return false
}

func certificateFilesSwapped(f *facts) []finding {
	var found []finding
	for _, s := range f.troubledSetups() {
		var last *finding
		for _, x := range f.files {
			base := path.Base(x.path)
			if base == fileOf[x.role] || !isProxyFile(base) {
				continue
			}
			// With verification off, any certificate will do for the CA.
			if x.role == observe.RoleCA && base != fileOf[observe.RoleKey] {
				continue
			}
			seen := fmt.Sprintf("%s is %s", x.names, x.path)
			change := x.at + " to " + strings.TrimSuffix(x.path, base) + fileOf[x.role]
			if last != nil && slices.Contains(last.about, x.about[0]) {
				last.seen, last.change = last.seen+", and "+seen, last.change+", and "+change
				continue
			}
			found = append(found, certain(append(slices.Clone(x.about), s.about...), seen, change))
			last = &found[len(found)-1]
		}
	}
	return found
}
