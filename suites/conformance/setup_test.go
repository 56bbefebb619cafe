package conformance

import (
	"slices"
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"istio.io/api/annotation"
	securityv1beta1 "istio.io/api/security/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// proxyIn is the sidecar's container in a pod with a native one.
func proxyIn(p *corev1.Pod) *corev1.Container {
	for i := range p.Spec.InitContainers {
		if p.Spec.InitContainers[i].Name == "istio-proxy" {
			return &p.Spec.InitContainers[i]
		}
	}
	return nil
}

func TestPrometheusSidecarInjected(t *testing.T) {
	examine(t, prometheusSidecarInjected, []spoilt{
		{"a replica without a sidecar fails and shows the labels that injection goes by", func(o *observe.Observation) {
			firstReplicaPod(o).Spec.InitContainers = nil
		}, reports.Fail, "has no running container istio-proxy: namespace default has the label istio-injection=enabled"},
		{"a proxy that runs once and ends is no sidecar", func(o *observe.Observation) {
			proxyIn(firstReplicaPod(o)).RestartPolicy = nil
		}, reports.Fail, "no running container istio-proxy"},
		{"a classic sidecar passes", func(o *observe.Observation) {
			for _, r := range o.Replicas {
				p := podOf(o, r.Pod)
				c := *proxyIn(p)
				c.RestartPolicy = nil
				p.Spec.InitContainers = nil
				p.Spec.Containers = append(p.Spec.Containers, c)
				p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: "istio-proxy", Ready: true})
			}
		}, reports.Pass, ""},
		{"a sidecar that is not ready fails", func(o *observe.Observation) {
			p := firstReplicaPod(o)
			for i := range p.Status.InitContainerStatuses {
				p.Status.InitContainerStatuses[i].Ready = false
			}
		}, reports.Fail, "native sidecar) is not ready"},
		{"replicas with different proxies fail", func(o *observe.Observation) {
			proxyIn(firstReplicaPod(o)).Image = "registry.istio.io/release/proxyv2:1.30.4"
		}, reports.Fail, "the replicas run different proxies: registry.istio.io/release/proxyv2:1.30.4, "},
		{"an image without a version fails", func(o *observe.Observation) {
			for _, r := range o.Replicas {
				proxyIn(podOf(o, r.Pod)).Image = "localhost:5000/proxyv2:latest"
			}
		}, reports.Fail, "localhost:5000/proxyv2:latest, which names no version"},
		{"a digest is a version", func(o *observe.Observation) {
			for _, r := range o.Replicas {
				proxyIn(podOf(o, r.Pod)).Image = "localhost:5000/proxyv2@sha256:abc"
			}
		}, reports.Pass, ""},
		{"a missing replica fails with what its StatefulSet complains of", func(o *observe.Observation) {
			firstReplicaPod(o).Labels = nil
			o.StatefulSets = []appsv1.StatefulSet{{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "prometheus-default"}}}
			o.Events = []observe.Event{{Kind: "StatefulSet", Namespace: "default", Name: "prometheus-default", Type: "Warning", Reason: "FailedCreate", Message: `Not found: "istio-certs"`}}
		}, reports.Fail, `1 replicas of Prometheus run, 2 are asked for; StatefulSet default/prometheus-default: FailedCreate: Not found: "istio-certs"`},
		{"two shards ask for twice the replicas", func(o *observe.Observation) {
			two := int32(2)
			o.Prometheus.Spec.Shards = &two
		}, reports.Fail, "2 replicas of Prometheus run, 4 are asked for"},
		{"no replica asked for is inconclusive", func(o *observe.Observation) {
			none := int32(0)
			o.Prometheus.Spec.Replicas = &none
			o.Pods, o.Replicas = nil, nil
		}, reports.Inconclusive, "spec.replicas 0"},
		{"pods that could not be listed are inconclusive, not missing", func(o *observe.Observation) {
			couldNotRead("pods")(o)
			o.Pods = nil
		}, reports.Inconclusive, "pods could not be read: pods is forbidden"},
	})
}

func TestCertificatesMounted(t *testing.T) {
	examine(t, certificatesMounted, []spoilt{
		{"a file that is not there fails and names who names it", func(o *observe.Observation) {
			replica(o).Files[0].Error = "No such file or directory"
		}, reports.Fail, "cannot read /etc/prom-certs/root-cert.pem, named by ServiceMonitor default/productpage, endpoints[0].tlsConfig.caFile: No such file or directory"},
		{"a file of somebody else's fails with mode and owner", func(o *observe.Observation) {
			replica(o).Files[2].Error, replica(o).Files[2].Mode = "Permission denied", "0600"
		}, reports.Fail, "Permission denied (mode 0600, owner 1337:1337)"},
		{"an empty file fails", func(o *observe.Observation) { replica(o).Files[0].Size = 0 }, reports.Fail, "is empty"},
		{"a key in place of the certificate fails", func(o *observe.Observation) {
			replica(o).Files[1].ParseError = "holds a PRIVATE KEY where a certificate is expected"
		}, reports.Fail, "cannot be used as the cert: it holds a PRIVATE KEY"},
		{"a certificate that ended fails", func(o *observe.Observation) {
			o.At = replica(o).Certificate.NotAfter
		}, reports.Fail, "its sidecar does not renew it"},
		{"a certificate of the future fails", func(o *observe.Observation) {
			replica(o).Certificate.NotBefore = o.At.Add(minutes(2))
			replica(o).Certificate.NotAfter = o.At.Add(minutes(3))
		}, reports.Fail, "is not valid before"},
		{"a monitor without a client certificate for a target in the mesh fails", func(o *observe.Observation) {
			m := o.ServiceMonitors[0].DeepCopy()
			m.Name = "bare"
			m.Spec.Endpoints[0].TLSConfig = nil
			o.ServiceMonitors = append(o.ServiceMonitors, *m)
		}, reports.Fail, "ServiceMonitor default/bare, endpoints[0] names no client certificate, and its target default/productpage"},
		{"files of a scrape class count as named", func(o *observe.Observation) {
			yes := true
			o.Prometheus.Spec.ScrapeClasses = []monitoringv1.ScrapeClass{{Name: "mesh", Default: &yes, TLSConfig: &monitoringv1.TLSConfig{
				TLSFilesConfig: o.ServiceMonitors[0].Spec.Endpoints[0].TLSConfig.TLSFilesConfig,
			}}}
			o.ServiceMonitors[0].Spec.Endpoints[0].TLSConfig = nil
			replica(o).Files[0].Error = "No such file or directory"
		}, reports.Fail, "named by Prometheus default/default, scrape class mesh, tlsConfig.caFile"},
		{"a file that nobody looked at is inconclusive", func(o *observe.Observation) {
			replica(o).Files = replica(o).Files[:2]
		}, reports.Inconclusive, "nobody looked at /etc/prom-certs/key.pem"},
		{"an unknown validity is inconclusive", func(o *observe.Observation) {
			replica(o).Certificate = nil
		}, reports.Inconclusive, "nobody looked for how long the certificate"},
		{"no named file is inconclusive", func(o *observe.Observation) {
			o.ServiceMonitors[0].Spec.Endpoints[0].TLSConfig = nil
		}, reports.Inconclusive, "names a certificate file"},
		{"files that could not be looked at are inconclusive, not missing", func(o *observe.Observation) {
			couldNotRead("the certificate files of " + replica(o).Pod)(o)
			replica(o).Files = []observe.File{{Path: "/etc/prom-certs/key.pem", Role: "key"}}
		}, reports.Inconclusive, "could not be read"},
	})
}

func TestCertificateIdentity(t *testing.T) {
	examine(t, certificateIdentity, []spoilt{
		{"another account's certificate fails", func(o *observe.Observation) {
			replica(o).Certificate.URIs = []string{"spiffe://cluster.local/ns/default/sa/default"}
		}, reports.Fail, "is for spiffe://cluster.local/ns/default/sa/default, its pod is spiffe://cluster.local/ns/default/sa/prometheus-full-access"},
		{"the account is that of the running pod", func(o *observe.Observation) {
			firstReplicaPod(o).Spec.ServiceAccountName = "another"
		}, reports.Fail, "its pod is spiffe://cluster.local/ns/default/sa/another"},
		{"the trust domain is the mesh's word, not the certificate's", func(o *observe.Observation) {
			o.Mesh.TrustDomain = "example.org"
		}, reports.Fail, "its pod is spiffe://example.org/ns/default/sa/prometheus-full-access"},
		{"a second name fails", func(o *observe.Observation) {
			c := replica(o).Certificate
			c.URIs = append(c.URIs, "spiffe://cluster.local/ns/default/sa/default")
		}, reports.Fail, "sa/default, its pod is"},
		{"no name fails", func(o *observe.Observation) { replica(o).Certificate.URIs = nil }, reports.Fail, "is for nobody"},
		{"a chain that ends nowhere fails", func(o *observe.Observation) { replica(o).Certificate.ChainsTo = false }, reports.Fail, "does not chain to any of the 1 roots"},
		{"another root than the mesh's fails", func(o *observe.Observation) { o.Mesh.Roots = []string{"abc"} }, reports.Fail, "lacks the mesh's root abc"},
		{"one of the mesh's roots missing fails", func(o *observe.Observation) {
			o.Mesh.Roots = append([]string{"abc"}, o.Mesh.Roots...)
		}, reports.Fail, "lacks the mesh's root abc"},
		{"a root more than the mesh's is inconclusive", func(o *observe.Observation) {
			c := replica(o).Certificate
			c.Roots = append([]string{"abc"}, c.Roots...)
		}, reports.Inconclusive, "has, besides the mesh's, the root abc"},
		{"an unknown trust domain is inconclusive", func(o *observe.Observation) { o.Mesh.TrustDomain = "" }, reports.Inconclusive, "trust domain is not known"},
		{"unknown roots of the mesh are inconclusive", func(o *observe.Observation) { o.Mesh.Roots = nil }, reports.Inconclusive, "the mesh's roots were not seen"},
		{"a certificate that was not seen is inconclusive", func(o *observe.Observation) { replica(o).Certificate = nil }, reports.Inconclusive, "was not seen"},
		{"a pod that was not seen is inconclusive", func(o *observe.Observation) { o.Pods = nil }, reports.Inconclusive, "was not seen"},
	})
}

func TestTrafficNotIntercepted(t *testing.T) {
	permissive := func(o *observe.Observation) {
		o.PeerAuthentications = append(o.PeerAuthentications, policy("default", "p", nil, securityv1beta1.PeerAuthentication_MutualTLS_PERMISSIVE))
	}
	examine(t, trafficNotIntercepted, []spoilt{
		{"a connection of the proxy to a target fails", func(o *observe.Observation) {
			e := firstTarget(o)
			replica(o).Sockets = append(replica(o).Sockets, observe.Socket{Local: "10.0.0.1:5", Remote: e.Address, UID: 1337})
		}, reports.Fail, "belongs to its proxy (user 1337)"},
		{"the proxy is known by the user that it runs as", func(o *observe.Observation) {
			uid := int64(65534)
			proxyIn(firstReplicaPod(o)).SecurityContext.RunAsUser = &uid
		}, reports.Fail, "belongs to its proxy (user 65534)"},
		{"a connection at the port for outbound traffic fails, whatever the annotation says", func(o *observe.Observation) {
			replica(o).Sockets = append(replica(o).Sockets, observe.Socket{Local: "127.0.0.1:15001", Remote: "10.244.0.13:5", UID: 1337})
		}, reports.Fail, `redirected to its proxy; the pod's annotation includeOutboundIPRanges is ""`},
		{"a connection at the port for inbound traffic fails", func(o *observe.Observation) {
			delete(firstReplicaPod(o).Annotations, annotation.SidecarTrafficIncludeInboundPorts.Name)
			replica(o).Sockets = append(replica(o).Sockets, observe.Socket{Local: "10.244.0.13:15006", Remote: "10.244.0.1:5", UID: 1337})
		}, reports.Fail, "inbound traffic is redirected to its proxy; the pod has no annotation includeInboundPorts"},
		{"the agent asking for Prometheus' health passes", func(o *observe.Observation) {
			replica(o).Sockets = append(replica(o).Sockets,
				observe.Socket{Local: "127.0.0.6:5", Remote: "10.244.0.13:9090", UID: 1337}, observe.Socket{Local: "10.244.0.13:9090", Remote: "127.0.0.6:5", UID: 65534})
		}, reports.Pass, ""},
		{"a refusal of plain HTTP in a STRICT mesh fails", func(o *observe.Observation) {
			o.Unread = append(o.Unread, observe.Unread{What: "the targets of " + replica(o).Pod, Reason: "read: connection reset by peer"})
		}, reports.Fail, "which is STRICT from PeerAuthentication istio-system/default"},
		{"no connection to any target is inconclusive", func(o *observe.Observation) {
			replica(o).Sockets = slices.DeleteFunc(replica(o).Sockets, func(s observe.Socket) bool { return s.UID == 65534 })
		}, reports.Inconclusive, "has no open connection to any of its"},
		{"a plain answer in a PERMISSIVE namespace proves nothing", func(o *observe.Observation) {
			permissive(o)
			var kept []observe.Socket
			for _, s := range replica(o).Sockets {
				if !strings.HasSuffix(s.Local, ":9090") {
					kept = append(kept, s)
				}
			}
			replica(o).Sockets = kept
		}, reports.Inconclusive, "the effective mTLS mode of port 9090 is PERMISSIVE, from PeerAuthentication default/p"},
		{"a connection past the proxy proves it even there", func(o *observe.Observation) {
			permissive(o)
			for i := range o.Replicas {
				o.Replicas[i].Sockets = append(o.Replicas[i].Sockets, observe.Socket{Local: "10.244.0.13:9090", Remote: "10.244.0.1:5", UID: 65534})
			}
		}, reports.Pass, ""},
		{"a replica without a proxy is inconclusive", func(o *observe.Observation) {
			firstReplicaPod(o).Spec.InitContainers = nil
		}, reports.Inconclusive, "has no proxy"},
		{"sockets that could not be read are inconclusive", func(o *observe.Observation) {
			couldNotRead("the certificate files of " + replica(o).Pod)(o)
		}, reports.Inconclusive, "could not be read"},
	})
}

func policy(namespace, name string, selector map[string]string, mode securityv1beta1.PeerAuthentication_MutualTLS_Mode) *securityv1.PeerAuthentication {
	p := &securityv1.PeerAuthentication{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, CreationTimestamp: metav1.Now()}}
	p.Spec.Mtls = &securityv1beta1.PeerAuthentication_MutualTLS{Mode: mode}
	if selector != nil {
		p.Spec.Selector = workloads(selector)
	}
	return p
}

func TestMonitorsAccepted(t *testing.T) {
	rejected := func(ago time.Duration) func(o *observe.Observation) {
		return func(o *observe.Observation) {
			o.ServiceMonitors[0].CreationTimestamp = metav1.NewTime(o.At.Add(-time.Hour))
			o.Events = append(o.Events, observe.Event{
				Kind: "ServiceMonitor", Namespace: "default", Name: "productpage", Type: "Warning", Reason: "InvalidConfiguration",
				Message: "it accesses file system via tls config which Prometheus specification prohibits", Last: o.At.Add(-ago),
			})
		}
	}
	unloaded := func(o *observe.Observation) {
		for i := range o.Replicas {
			o.Replicas[i].Configuration = "scrape_configs: []"
		}
	}
	another := func(o *observe.Observation) {
		m := o.ServiceMonitors[0].DeepCopy()
		m.Name, m.Labels = "reviews", map[string]string{"team": "bokinfo"}
		o.ServiceMonitors = append(o.ServiceMonitors, *m)
	}
	examine(t, monitorsAccepted, []spoilt{
		{"labels that do not match fail and are shown beside the selector", func(o *observe.Observation) {
			o.ServiceMonitors[0].Labels = map[string]string{"team": "bokinfo"}
		}, reports.Fail, "its labels are map[team:bokinfo], spec.serviceMonitorSelector of Prometheus default/default wants team=bookinfo"},
		{"no selector fails, since it selects nothing", func(o *observe.Observation) {
			o.Prometheus.Spec.ServiceMonitorSelector = nil
		}, reports.Fail, "has no spec.serviceMonitorSelector, which selects nothing"},
		{"a monitor in another namespace fails without a namespace selector", func(o *observe.Observation) {
			o.ServiceMonitors[0].Namespace = "apps"
		}, reports.Fail, "without a spec.serviceMonitorNamespaceSelector"},
		{"a namespace that does not match fails", func(o *observe.Observation) {
			o.Prometheus.Spec.ServiceMonitorNamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"monitored": "yes"}}
		}, reports.Fail, "wants monitored=yes"},
		{"no monitor at all fails", func(o *observe.Observation) { o.ServiceMonitors = nil }, reports.Fail, "selects none of the 0 monitors"},
		{"a rejected monitor fails in the Operator's words", func(o *observe.Observation) {
			rejected(time.Minute)(o)
			unloaded(o)
		}, reports.Fail, "the Operator rejected it: it accesses file system via tls config"},
		{"a monitor that has just been rejected is inconclusive while its old job is there", rejected(time.Minute), reports.Inconclusive, "may be the one from before"},
		{"a rejection that was not repeated is over", rejected(minutes(20)), reports.Pass, ""},
		{"a rejection from before the monitor was made anew is not this one's", func(o *observe.Observation) {
			rejected(time.Minute)(o)
			o.ServiceMonitors[0].CreationTimestamp = metav1.NewTime(o.At)
		}, reports.Pass, ""},
		{"a missing job fails and names the field that forbids it", func(o *observe.Observation) {
			o.Prometheus.Spec.ArbitraryFSAccessThroughSMs.Deny = true
			unloaded(o)
		}, reports.Fail, "has spec.arbitraryFSAccessThroughSMs.deny"},
		{"a job with another file fails", func(o *observe.Observation) {
			replica(o).Configuration = strings.Replace(replica(o).Configuration, "/etc/prom-certs/key.pem", "/etc/other/key.pem", 1)
		}, reports.Fail, `the key file is /etc/prom-certs/key.pem, the job of prometheus-default-0 has "/etc/other/key.pem"`},
		{"a job with another scheme fails", func(o *observe.Observation) {
			replica(o).Configuration = strings.Replace(replica(o).Configuration, "scheme: https", "scheme: http", 1)
		}, reports.Fail, "the scheme is https, the job of prometheus-default-0 has http"},
		{"a job without a pool fails and names the file", func(o *observe.Observation) {
			replica(o).ScrapePools = nil
			replica(o).Files[0].Error = "No such file or directory"
		}, reports.Fail, "there is no scrape pool for it: Prometheus could not make its client; /etc/prom-certs/root-cert.pem: No such file or directory"},
		{"a condition that says no fails", func(o *observe.Observation) {
			o.ServiceMonitors[0].Status.Bindings = []monitoringv1.WorkloadBinding{{Namespace: "default", Name: "default", Conditions: []monitoringv1.ConfigResourceCondition{
				{Type: "Accepted", Status: "False", Reason: "InvalidConfiguration", Message: "because"},
			}}}
		}, reports.Fail, "is not accepted by Prometheus default/default: InvalidConfiguration: because"},
		{"a monitor for this Prometheus' files that nobody selects fails", another, reports.Fail, "ServiceMonitor default/reviews is not selected: its labels are map[team:bokinfo]"},
		{"one that another Prometheus selects does not concern this one", func(o *observe.Observation) {
			another(o)
			p := o.Prometheus.DeepCopy()
			p.Name = "other"
			p.Spec.ServiceMonitorSelector.MatchLabels = map[string]string{"team": "bokinfo"}
			o.OtherPrometheuses = []monitoringv1.Prometheus{*p}
		}, reports.Pass, ""},
		{"without a look at the others it is inconclusive", func(o *observe.Observation) {
			another(o)
			o.OtherPrometheuses = nil
		}, reports.Inconclusive, "whether another Prometheus selects it was not seen"},
		{"a configuration that was not seen is inconclusive", func(o *observe.Observation) { replica(o).Configuration = "" }, reports.Inconclusive, "has loaded was not seen"},
		{"a configuration that is none is inconclusive", func(o *observe.Observation) { replica(o).Configuration = "a: [" }, reports.Inconclusive, "has loaded cannot be read"},
		{"pools that could not be read are inconclusive, not missing", func(o *observe.Observation) {
			couldNotRead("the scrape pools of " + replica(o).Pod)(o)
			replica(o).ScrapePools = nil
		}, reports.Inconclusive, "could not be read"},
		{"events that could not be read are inconclusive", couldNotRead("events"), reports.Inconclusive, "events could not be read"},
		{"monitors that could not be read are inconclusive, not missing", func(o *observe.Observation) {
			couldNotRead("service monitors")(o)
			o.ServiceMonitors = nil
		}, reports.Inconclusive, "could not be read"},
	})
}
