// Package mesh installs Istio and reads what a sidecar says of itself.
//
// It judges nothing: whether what a proxy reports is right is for the checks.
//
// Read [Install] first.
package mesh

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart"
	"helm.sh/helm/v4/pkg/chart/loader"
	"helm.sh/helm/v4/pkg/kube"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
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

// Options say which Istio to install.
type Options struct {
	Kubeconfig    string
	Charts        Charts
	PilotImage    string // full reference
	ProxyImage    string // full reference
	UpstreamEnvoy bool   // the proxy is upstream Envoy, without the filters that Istio adds
}

// Charts finds Istio's two charts: "base" and "istiod".
type Charts func(ctx context.Context, name string) (chart.Charter, error)

// ChartFolders are where the charts lie below the root of Istio's module.
var ChartFolders = map[string]string{
	"base":   "manifests/charts/base",
	"istiod": "manifests/charts/istio-control/istio-discovery",
}

// ModuleCharts reads the charts from the folder of Istio's Go module.
func ModuleCharts(dir string) Charts {
	return func(_ context.Context, name string) (chart.Charter, error) {
		return loader.LoadDir(dir + "/" + ChartFolders[name])
	}
}

// Install installs Istio, waits for istiod, and makes the mesh STRICT.
func Install(ctx context.Context, client klient.Client, o Options) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: RootNamespace}}
	if err := client.Resources().Create(ctx, ns); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating the namespace %s: %w", RootNamespace, err)
	}
	if err := plugIn(ctx, client); err != nil {
		return err
	}
	for _, name := range []string{"base", "istiod"} {
		if err := installChart(ctx, o, name, values(o)); err != nil {
			return err
		}
	}
	if err := waitForIstiod(ctx, client); err != nil {
		return err
	}
	strict, err := manifests.Read(manifests.Mesh)
	if err != nil {
		return err
	}
	return cluster.Apply(ctx, client, strict...)
}

func installChart(ctx context.Context, o Options, name string, values map[string]any) error {
	c, err := o.Charts(ctx, name)
	if err != nil {
		return fmt.Errorf("finding Istio's chart %s: %w", name, err)
	}
	flags := genericclioptions.NewConfigFlags(false)
	namespace := RootNamespace
	flags.KubeConfig, flags.Namespace = &o.Kubeconfig, &namespace
	config := action.NewConfiguration(action.ConfigurationSetLogger(slog.DiscardHandler))
	if err := config.Init(flags, RootNamespace, "secret"); err != nil {
		return fmt.Errorf("preparing Helm for %s: %w", o.Kubeconfig, err)
	}
	install := action.NewInstall(config)
	install.ReleaseName, install.Namespace = "istio-"+name, RootNamespace
	install.ServerSideApply = true
	// Waiting is ours: Helm's own wait does not say what it waited for.
	install.WaitStrategy = kube.HookOnlyStrategy
	install.SkipSchemaValidation = true // the schema is fetched by the chart of every run
	if _, err := install.RunWithContext(ctx, c, values); err != nil {
		return fmt.Errorf("installing Istio's chart %s: %w", name, err)
	}
	return nil
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
	if o.UpstreamEnvoy {
		// Istio's own filters are not in upstream's Envoy; a proxy that is told to
		// use them accepts no configuration at all.
		v["telemetry"] = map[string]any{"enabled": false}
		pilotEnv["PILOT_ENABLE_METADATA_EXCHANGE"] = "false"
		pilotEnv["PILOT_ENABLE_ALPN_FILTER"] = "false"
	}
	return v
}

// waitForIstiod waits for a ready replica, and for the webhook that injects
// sidecars to be told whom to trust: a pod created before would get none.
func waitForIstiod(ctx context.Context, client klient.Client) error {
	return wait.For(ctx, "istiod to be ready", func(ctx context.Context) (bool, string, error) {
		var d appsv1.Deployment
		if err := client.Resources(RootNamespace).Get(ctx, "istiod", RootNamespace, &d); err != nil {
			return false, "", err
		}
		if d.Status.ReadyReplicas == 0 {
			state, err := podStates(ctx, client, RootNamespace, "app=istiod")
			return false, state, err
		}
		return webhookReady(ctx, client)
	}, wait.Timeout(readyTimeout))
}
