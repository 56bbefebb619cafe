// Package mesh installs Istio, in one version or several beside each other, upgrades
// it, and makes the CA that it issues certificates with.
//
// It judges nothing: whether what a proxy reports is right is for the checks. It
// restarts no workload: whose sidecar changes when is for who upgrades.
//
// Read [Install] first, then [Release].
package mesh

import (
	"context"
	"fmt"
	"time"

	"helm.sh/helm/v4/pkg/chart"
	"istio.io/api/label"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/e2e-framework/klient"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
	"github.com/seed-140c7b37/mtls-scrape-conformance/manifests"
)

// RootNamespace is where Istio's control plane lives and where mesh-wide policy
// is read from.
const RootNamespace = "istio-system"

// readyTimeout bounds the start of istiod, which was measured at 11 s.
const readyTimeout = 3 * time.Minute

// Options say which control plane, and where.
type Options struct {
	Kubeconfig string
	Release
}

// Release is a control plane: a version of Istio under a revision, and where its
// parts are found.
type Release struct {
	Version       string // as in "1.31.0"
	Revision      string // [DefaultRevision], or a name of its own, as in "1-31"
	Charts        Charts
	PilotImage    string // full reference
	ProxyImage    string // full reference
	UpstreamEnvoy bool   // the proxy is upstream Envoy, without the filters that Istio adds
	TrustDomain   string // of every identity; empty for Istio's own, cluster.local
	// OwnCA is the namespace whose sidecars are to trust a CA that this release alone has;
	// empty for the CA that all share.
	OwnCA string
}

// Install installs a control plane, the first one or one beside others, waits for
// istiod, and makes the mesh STRICT. All control planes have the same CA, unless the
// release has its own.
func Install(ctx context.Context, client klient.Client, o Options) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: RootNamespace}}
	if err := client.Resources().Create(ctx, ns); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating the namespace %s: %w", RootNamespace, err)
	}
	if err := plugIn(ctx, client); err != nil {
		return err
	}
	if err := o.prepare(ctx, client); err != nil {
		return err
	}
	if err := put(ctx, o, helm.install); err != nil {
		return err
	}
	if err := waitForIstiod(ctx, client, o.Revision); err != nil {
		return err
	}
	strict, err := manifests.Read(manifests.Mesh)
	if err != nil {
		return err
	}
	return cluster.Apply(ctx, client, strict...)
}

// Upgrade brings the control plane of a revision to another version in place, and
// waits for it. The way back is an upgrade too: to the release that was. Sidecars
// keep their version until their pods are made anew.
func Upgrade(ctx context.Context, client klient.Client, o Options) error {
	if err := o.prepare(ctx, client); err != nil {
		return err
	}
	if err := put(ctx, o, helm.upgrade); err != nil {
		return err
	}
	return waitForIstiod(ctx, client, o.Revision)
}

// prepare makes what a control plane needs to find when it starts.
func (o Options) prepare(ctx context.Context, client klient.Client) error {
	if o.OwnCA == "" {
		return nil
	}
	return giveOwnCA(ctx, client, o.OwnCA)
}

// put applies both charts of a release, the definitions before who needs them.
func put(ctx context.Context, o Options, apply func(helm, context.Context, string, chart.Charter, map[string]any) error) error {
	base, err := o.chart(ctx, "base")
	if err != nil {
		return err
	}
	istiod, err := o.chart(ctx, "istiod")
	if err != nil {
		return err
	}
	h, err := newHelm(o.Kubeconfig)
	if err != nil {
		return err
	}
	if err := h.putBase(ctx, o, base); err != nil {
		return err
	}
	return apply(h, ctx, Named(istiodRelease, o.Revision), istiod, values(o))
}

// defaultRevisionValue is the value of the chart base that names who validates
// objects which name no revision.
const defaultRevisionValue = "defaultRevision"

// putBase brings the definitions of Istio's objects, which all control planes share,
// to the version of a release, unless they are of that or of a newer one: an older
// control plane gets along with newer definitions, but to go back would drop what is
// stored in newer fields. The first control plane validates what names no revision.
func (h helm) putBase(ctx context.Context, o Options, c chart.Charter) error {
	standing, err := h.base()
	if err != nil {
		return err
	}
	v := values(o)
	if standing == nil {
		v[defaultRevisionValue] = o.Revision
		return h.install(ctx, baseRelease, c, v)
	}
	is, err := versionOf(standing)
	if err != nil {
		return err
	}
	wanted, err := version.ParseGeneric(o.Version)
	if err != nil {
		return fmt.Errorf("reading the version of Istio: %w", err)
	}
	if !is.LessThan(wanted) {
		return nil
	}
	v[defaultRevisionValue] = standing.Config[defaultRevisionValue]
	return h.upgrade(ctx, baseRelease, c, v)
}

// AccessLogFields is what every proxy writes of every request, as JSON: who came,
// with which certificate, and what became of it.
var AccessLogFields = map[string]any{
	"time":    "%START_TIME(%s.%3f)%",
	"peer":    "%DOWNSTREAM_PEER_URI_SAN%",
	"serial":  "%DOWNSTREAM_PEER_SERIAL%",
	"ends":    "%DOWNSTREAM_PEER_CERT_V_END(%s)%",
	"tls":     "%DOWNSTREAM_TLS_VERSION%",
	"remote":  "%DOWNSTREAM_REMOTE_ADDRESS%",
	"local":   "%DOWNSTREAM_LOCAL_ADDRESS%",
	"method":  "%REQ(:METHOD)%",
	"path":    "%REQ(:PATH)%",
	"agent":   "%REQ(USER-AGENT)%",
	"code":    "%RESPONSE_CODE%",
	"flags":   "%RESPONSE_FLAGS%",
	"details": "%RESPONSE_CODE_DETAILS%",
}

// values are Helm's for both charts; base ignores what it does not know.
func values(o Options) map[string]any {
	// Without it istiod drops every change of its roots.
	pilotEnv := map[string]any{"ISTIO_MULTIROOT_MESH": "true"}
	v := map[string]any{
		"global": map[string]any{
			"hub": "", "tag": "", // all images are given whole
			"proxy_init": map[string]any{"image": o.ProxyImage},
			"proxy": map[string]any{
				"image": o.ProxyImage,
				// The chart asks for 100m and 128Mi a sidecar, too much for ten on two cores.
				"resources": map[string]any{"requests": map[string]any{"cpu": "5m", "memory": "40Mi"}},
			},
		},
		"pilot": map[string]any{
			"image":            o.PilotImage,
			"autoscaleEnabled": false,
			"env":              pilotEnv,
			"resources":        map[string]any{"requests": map[string]any{"cpu": "50m", "memory": "128Mi"}},
		},
		"meshConfig": map[string]any{
			"accessLogFile":     "/dev/stdout",
			"accessLogEncoding": "JSON",
			"accessLogFormat":   accessLogFormat(),
			"defaultConfig": map[string]any{
				// The counters that tell why a handshake was refused. Istio keeps a
				// proxy's listener counters only if asked.
				"proxyStatsMatcher": map[string]any{"inclusionRegexps": []any{TLSCounters}},
				// Sidecars take new roots up when istiod has them. Else each would learn of
				// them with its next certificate, which is half a day away.
				"proxyMetadata": map[string]any{"PROXY_CONFIG_XDS_AGENT": "true"},
			},
		},
	}
	if o.Revision != DefaultRevision {
		v["revision"] = o.Revision
	}
	if o.TrustDomain != "" {
		v["meshConfig"].(map[string]any)["trustDomain"] = o.TrustDomain //nolint:forcetypeassert // it was made above
	}
	if o.OwnCA != "" {
		withOwnCA(v, o.Revision)
	}
	if o.UpstreamEnvoy {
		// Istio's own filters are not in upstream's Envoy; a proxy that is told to
		// use them accepts no configuration at all.
		v["telemetry"] = map[string]any{"enabled": false}
		pilotEnv["PILOT_ENABLE_METADATA_EXCHANGE"] = "false"
		pilotEnv["PILOT_ENABLE_ALPN_FILTER"] = "false"
	}
	return v
}

// istiodOf selects the pods of the control plane of a revision.
func istiodOf(revision string) string { return "app=istiod," + label.IoIstioRev.Name + "=" + revision }

// waitForIstiod waits until every replica is ready and of the newest template, and
// for the webhooks that inject sidecars to be told whom to trust: a pod created
// before would get none.
func waitForIstiod(ctx context.Context, client klient.Client, revision string) error {
	name := Named("istiod", revision)
	return wait.For(ctx, name+" to be ready", func(ctx context.Context) (bool, string, error) {
		var d appsv1.Deployment
		if err := client.Resources(RootNamespace).Get(ctx, name, RootNamespace, &d); err != nil {
			return false, "", err
		}
		if !rolledOut(d) {
			state, err := podStates(ctx, client, RootNamespace, istiodOf(revision))
			return false, state, err
		}
		return webhookReady(ctx, client)
	}, wait.Timeout(readyTimeout))
}

// rolledOut reports whether a Deployment has all its replicas, ready and of the
// newest template, and no others.
func rolledOut(d appsv1.Deployment) bool {
	s, wanted := d.Status, int32(1)
	if d.Spec.Replicas != nil {
		wanted = *d.Spec.Replicas
	}
	return s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == wanted && s.ReadyReplicas == wanted && s.Replicas == wanted
}
