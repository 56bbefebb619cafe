package observe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
)

// readTimeout bounds one read of one pod. A healthy answer takes well under a
// second; a pod that hangs must not hold up the rest.
const readTimeout = 10 * time.Second

// proxyContainer is what Istio calls its sidecar, native or classic.
const proxyContainer = "istio-proxy"

// exec runs a program in a container and returns what it printed.
func (o *Observer) exec(ctx context.Context, namespace, pod, container string, argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var out, errOut bytes.Buffer
	if err := o.client.Resources().ExecInPod(ctx, namespace, pod, container, argv, &out, &errOut); err != nil {
		return "", fmt.Errorf("running %q in %s/%s, container %s: %w %s", strings.Join(argv, " "), namespace, pod, container, err, strings.TrimSpace(errOut.String()))
	}
	return out.String(), nil
}

// execAll runs a program in a replica's Prometheus container that goes on after a
// complaint, and returns what it
// printed and what it complained of. A program that ran and failed is no error
// here; one that could not be run is.
func (o *Observer) execAll(ctx context.Context, pod string, argv ...string) (printed, complaints string, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var out, errOut bytes.Buffer
	err = o.client.Resources().ExecInPod(ctx, o.namespace, pod, prometheusContainer, argv, &out, &errOut)
	var exit exec.CodeExitError
	if err != nil && (!errors.As(err, &exit) || exit.Code > 125) { // 126 and above: it was not run
		return "", "", fmt.Errorf("running %q in %s/%s, container %s: %w %s", strings.Join(argv, " "), o.namespace, pod, prometheusContainer, err, strings.TrimSpace(errOut.String()))
	}
	return out.String(), errOut.String(), nil
}

// counters reads the TLS counters of a pod's proxy. The agent is asked, not
// Envoy's port: it is there even in an image without a shell.
func (o *Observer) counters(ctx context.Context, namespace, pod string) (TLS, error) {
	text, err := o.exec(ctx, namespace, pod, proxyContainer, "pilot-agent", "request", "GET", "stats?filter=_15006.ssl.")
	if err != nil {
		return nil, err
	}
	return ParseCounters(text), nil
}

// proxyCertificates lists the workload certificates that a pod's proxy uses.
func (o *Observer) proxyCertificates(ctx context.Context, namespace, pod string) ([]ProxyCertificate, error) {
	text, err := o.exec(ctx, namespace, pod, proxyContainer, "pilot-agent", "request", "GET", "certs")
	if err != nil {
		return nil, err
	}
	return ParseProxyCertificates([]byte(text))
}

// proxyRoots are the roots that a pod's proxy trusts: all of them, where its list
// of certificates has only the first of a bundle. By its name nothing else is
// asked for: the secret beside it holds a key.
func (o *Observer) proxyRoots(ctx context.Context, namespace, pod string) ([]string, error) {
	text, err := o.exec(ctx, namespace, pod, proxyContainer, "pilot-agent", "request", "GET", "config_dump?resource=dynamic_active_secrets&name_regex=^ROOTCA$")
	if err != nil {
		return nil, err
	}
	return ParseProxyRoots([]byte(text))
}

// accessLog reads what a pod's proxy logged since a moment.
func (o *Observer) accessLog(ctx context.Context, namespace, pod string, since time.Time) ([]Request, error) {
	// The kubelet takes whole seconds; what is too early is dropped below.
	from := metav1.NewTime(since.Truncate(time.Second))
	stream, err := o.kubernetes.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{
		Container: proxyContainer, SinceTime: &from,
	}).Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the log of the proxy of %s/%s: %w", namespace, pod, err)
	}
	defer stream.Close()
	all, err := ParseAccessLog(io.LimitReader(stream, 32<<20))
	if err != nil {
		return nil, fmt.Errorf("reading the log of the proxy of %s/%s: %w", namespace, pod, err)
	}
	var requests []Request
	for _, r := range all {
		if !r.At.Before(since) {
			requests = append(requests, r)
		}
	}
	return requests, nil
}

// startTimes asks the application in a pod, behind its proxy, when its processes
// started. An application may be several processes behind one port, each with its
// own answer, so it is asked as often as wanted over connections of their own.
func (o *Observer) startTimes(ctx context.Context, namespace, pod, port, path string, times int) ([]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	roundTripper, upgrader, err := spdy.RoundTripperFor(o.config)
	if err != nil {
		return nil, err
	}
	url := o.kubernetes.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL()
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: roundTripper}, http.MethodPost, url)
	ready := make(chan struct{})
	forward, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{"0:" + port}, ctx.Done(), ready, io.Discard, io.Discard)
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- forward.ForwardPorts() }()
	defer func() {
		cancel()
		<-ended //nolint:errcheck // it ended because it was told to
	}()
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		return nil, fmt.Errorf("forwarding a port to %s/%s: %w", namespace, pod, err)
	}
	ports, err := forward.GetPorts()
	if err != nil {
		return nil, err
	}
	address := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(int(ports[0].Local))) + path
	seen := map[float64]bool{}
	var found []float64
	for range times {
		v, err := startTime(ctx, address)
		if err != nil {
			return found, fmt.Errorf("asking the application in %s/%s for %s: %w", namespace, pod, path, err)
		}
		if !seen[v] {
			seen[v] = true
			found = append(found, v)
		}
	}
	return found, nil
}

const startTimeMetric = "process_start_time_seconds"

func startTime(ctx context.Context, address string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the answer was %s", response.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(io.LimitReader(response.Body, 8<<20))
	if err != nil {
		return 0, err
	}
	family, ok := families[startTimeMetric]
	if !ok || len(family.Metric) != 1 {
		return 0, fmt.Errorf("it serves no %s", startTimeMetric)
	}
	return family.Metric[0].GetGauge().GetValue(), nil
}
