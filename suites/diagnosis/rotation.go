package diagnosis

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"istio.io/api/annotation"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// rotationRules are about settings by which certificates are renewed.
var rotationRules = []Rule{
	{
		Code: "secret-ttl-invalid", Layer: LayerRotation,
		Title:   "SECRET_TTL is no duration that Istio reads, so that certificates last 24 hours",
		Hides:   []string{"watch-shorter-than-rotation"},
		Explain: secretTTLInvalid,
	},
	{
		Code: "secret-ttl-too-long", Layer: LayerFiles,
		Title:   "The proxy asks for a longer certificate than istiod signs, and gets none",
		Hides:   []string{"certificate-file-missing", "certificate-expired", "prometheus-pod-not-ready", "prometheus-not-reachable"},
		Explain: secretTTLTooLong,
	},
	{
		Code: "grace-ratio-out-of-range", Layer: LayerRotation,
		Title:   "SECRET_GRACE_PERIOD_RATIO is not between 0 and 1",
		Explain: graceRatio,
	},
	{
		Code: "rotation-without-subscriber", Layer: LayerRotation,
		Title:   "The proxy may never renew: nobody in it asks for the certificate again",
		Proof:   "whether the proxy lists a workload certificate (istioctl proxy-config secret)",
		Hides:   []string{"certificate-expired"},
		Explain: withoutSubscriber,
	},
	{
		Code: "output-is-input", Layer: LayerRotation,
		Title:   "The proxy writes its certificates where it also reads certificates from",
		Proof:   "the log of istio-proxy when the certificate is to be renewed",
		Explain: outputIsInput,
	},
	{
		Code: "watch-shorter-than-rotation", Layer: LayerRotation,
		Title:   "The certificates are renewed more seldom than was waited for",
		Explain: watchTooShort,
	},
}

func secretTTLInvalid(f *facts) []finding {
	var found []finding
	for _, s := range f.sets {
		text := s.variables["SECRET_TTL"]
		if text == "" {
			continue
		}
		if _, err := time.ParseDuration(text); err != nil {
			found = append(found, certain(s.about, fmt.Sprintf("the proxy of %s has SECRET_TTL %q, which Istio replaces by 24h", s.name, text),
				fmt.Sprintf("%s: set proxyMetadata.SECRET_TTL in %s to a Go duration, as in 20m or 72h", f.prometheus, metadataField)))
		}
	}
	return found
}

func secretTTLTooLong(f *facts) []finding {
	const unlessSet = 90 * 24 * time.Hour
	var found []finding
	for _, s := range f.sets {
		ttl, err := time.ParseDuration(firstOf(s.variables["SECRET_TTL"], "24h"))
		if err != nil {
			continue
		}
		for _, c := range f.o.Mesh.ControlPlanes {
			limit, err := time.ParseDuration(firstOf(c.Variables["MAX_WORKLOAD_CERT_TTL"], unlessSet.String()))
			if err != nil || ttl <= limit {
				continue
			}
			x := certain(append(slices.Clone(s.about), aboutPrometheus), fmt.Sprintf("the proxy of %s asks for certificates of %s (SECRET_TTL), and %s signs none longer than %s (MAX_WORKLOAD_CERT_TTL)", s.name, ttl, c.Name, limit),
				fmt.Sprintf("%s: set proxyMetadata.SECRET_TTL in %s to %s or less, or raise MAX_WORKLOAD_CERT_TTL of %s", f.prometheus, metadataField, limit, c.Name))
			if s.pod != nil && !ready(s.pod) {
				x.layer = LayerOperator // Envoy waits for its certificate, and everything else in the pod for Envoy
			}
			found = append(found, x)
		}
	}
	return found
}

func graceRatio(f *facts) []finding {
	var found []finding
	for _, s := range f.sets {
		text := s.variables["SECRET_GRACE_PERIOD_RATIO"]
		if text == "" {
			continue
		}
		ratio, err := strconv.ParseFloat(text, 64)
		does := ""
		switch {
		case err != nil:
			does = "which is no number: Istio takes 0.5"
		case ratio >= 1:
			does = "so that it renews its certificate without end"
		case ratio <= 0:
			does = "so that it renews its certificate only when it has ended"
		default:
			continue
		}
		found = append(found, certain(s.about, fmt.Sprintf("the proxy of %s has SECRET_GRACE_PERIOD_RATIO %q, %s", s.name, text, does),
			fmt.Sprintf("%s: set proxyMetadata.SECRET_GRACE_PERIOD_RATIO in %s to a number between 0 and 1, such as \"0.5\"", f.prometheus, metadataField)))
	}
	return found
}

func withoutSubscriber(f *facts) []finding {
	var found []finding
	for _, s := range f.sets {
		mode := s.variables["ISTIO_META_INTERCEPTION_MODE"]
		if s.pod == nil {
			mode = f.podAnnotation(annotation.SidecarInterceptionMode.Name)
		}
		if mode != "NONE" {
			continue
		}
		x := certain(s.about, fmt.Sprintf("the proxy of %s has interception mode NONE: it has no inbound listener that would ask for its certificate", s.name),
			fmt.Sprintf("%s: remove spec.podMetadata.annotations.%s; to intercept nothing, set %s and %s to \"\"", f.prometheus, annotation.SidecarInterceptionMode.Name, annotation.SidecarTrafficIncludeInboundPorts.Name, annotation.SidecarTrafficIncludeOutboundIPRanges.Name))
		x.confidence = reports.Likely
		f.eachReplica(s.pod, func(r *replica) {
			_, unread := f.unread("the certificates of the proxy of " + r.name)
			if c := r.seen.Certificate; c != nil && f.expired(c) && !unread && len(r.seen.ProxyCertificates) == 0 {
				x.confidence, x.layer = reports.Certain, LayerFiles // it has come to pass
			}
		})
		found = append(found, x)
	}
	return found
}

// eachReplica calls with what was seen of a pod.
func (f *facts) eachReplica(pod *corev1.Pod, call func(*replica)) {
	for _, r := range f.replicas {
		if pod != nil && r.pod == pod && r.seen != nil {
			call(r)
		}
	}
}

func outputIsInput(f *facts) []finding {
	var found []finding
	for _, s := range f.sets {
		dir := s.outputDir()
		if dir == "" {
			continue
		}
		input := s.variables["PROV_CERT"]
		if input == "" || path.Clean(input) != dir {
			input = ""
			for _, p := range []string{"/etc/certs", "/var/run/secrets/workload-spiffe-credentials"} {
				if dir == p {
					input = p
				}
			}
		}
		if input != "" {
			found = append(found, finding{about: s.about, confidence: reports.Likely,
				seen:   fmt.Sprintf("the proxy of %s writes its certificates to %s, a directory that it also reads certificates from", s.name, dir),
				change: fmt.Sprintf("%s: set proxyMetadata.OUTPUT_CERTS in %s, and the mount in %s, to a directory of their own", f.prometheus, metadataField, annotation.SidecarUserVolumeMount.Name)})
		}
	}
	return found
}

// period is how long after a certificate the next one comes, by the variables of
// the proxy.
func period(variables map[string]string, lifetime time.Duration) time.Duration {
	ratio, err := strconv.ParseFloat(firstOf(variables["SECRET_GRACE_PERIOD_RATIO"], "0.5"), 64)
	if err != nil {
		ratio = 0.5
	}
	return time.Duration(float64(lifetime) * (1 - min(max(ratio, 0), 1)))
}

// rotations is how many renewals are waited for.
const rotations = 2

func watchTooShort(f *facts) []finding {
	w := f.o.Watch
	if w == nil || !w.To.After(w.From) {
		return nil
	}
	watched := w.To.Sub(w.From)
	var found []finding
	for _, s := range f.sets {
		f.eachReplica(s.pod, func(r *replica) {
			if r.seen.Certificate == nil || serials(w.Certs, r.name) > rotations {
				return
			}
			every := period(s.variables, lifetime(r.seen.Certificate))
			if watched < rotations*every {
				found = append(found, tooShort(s.about, s.name, watched, every, metadataField+" of "+f.prometheus))
			}
		})
	}
	seen := map[string]bool{}
	for _, t := range f.targets {
		i := slices.IndexFunc(w.Shown, func(s observe.Sighting) bool { return s.Pod == t.name })
		proxy := proxyOf(t.pod)
		if i < 0 || proxy == nil || seen[t.name] || serials(w.Shown, t.name) > rotations {
			continue
		}
		seen[t.name] = true
		every := period(variablesOf(proxy), lifetime(&w.Shown[i].Certificate))
		if watched < rotations*every {
			found = append(found, tooShort(t.about(), "pod "+t.name, watched, every, "spec.template.metadata.annotations."+annotation.ProxyConfig.Name+" of the workload of "+ownerOf(t.pod)))
		}
	}
	return found
}

// serials counts the certificates that a pod was seen to have.
func serials(sightings []observe.Sighting, pod string) int {
	seen := map[string]bool{}
	for _, s := range sightings {
		if s.Pod == pod {
			seen[strings.ToLower(s.Certificate.Serial)] = true
		}
	}
	return len(seen)
}

func tooShort(about []string, whose string, watched, every time.Duration, where string) finding {
	return certain(about, fmt.Sprintf("the proxy of %s renews its certificate every %s, and it was watched for %s", whose, every.Round(time.Second), watched.Round(time.Second)),
		fmt.Sprintf("watch for %s or longer, or set proxyMetadata.SECRET_TTL in %s to less", (rotations*every).Round(time.Second)+every.Round(time.Second), where))
}
