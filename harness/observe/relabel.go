package observe

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
)

// knownLabels are the labels of a candidate that are worked out here. A rule that
// decides by any other leaves the set open.
var knownLabels = regexp.MustCompile(`^(namespace|service|pod|container|__address__|__meta_kubernetes_(namespace|service_name` +
	`|pod_(name|ip|phase|ready|node_name|container_name|container_port_name|container_port_number)` +
	`|(pod|service)_(label|labelpresent|annotation|annotationpresent)_.+))$`)

// underivable says why rules may change the set of targets, or where they are
// asked, in a way that is not worked out. It is empty if they do not, or if all
// they do is to keep and drop by known labels.
func underivable(rules []monitoringv1.RelabelConfig) string {
	changed := map[string]bool{}
	for i, r := range rules {
		field := fmt.Sprintf("relabelings[%d]", i)
		if _, err := compile(r.Regex); err != nil {
			return fmt.Sprintf("%s.regex is no regular expression: %v", field, err)
		}
		switch action := actionOf(r); action {
		case "keep", "drop":
			for _, l := range r.SourceLabels {
				if !knownLabels.MatchString(string(l)) || changed[string(l)] {
					return fmt.Sprintf("%s (%s) decides by the label %s, which is not worked out", field, action, l)
				}
			}
		case "replace", "lowercase", "uppercase", "hashmod":
			if strings.HasPrefix(r.TargetLabel, "__") && !strings.HasPrefix(r.TargetLabel, "__tmp") || strings.Contains(r.TargetLabel, "$") {
				return fmt.Sprintf("%s (%s) changes %s, on which the targets depend", field, action, r.TargetLabel)
			}
			changed[r.TargetLabel] = true
		case "labelmap":
			if r.Replacement != nil && strings.HasPrefix(*r.Replacement, "__") {
				return fmt.Sprintf("%s (%s) writes to %s, on which the targets may depend", field, action, *r.Replacement)
			}
			for _, l := range []string{"namespace", "service", "pod", "container"} {
				changed[l] = true
			}
		default: // labeldrop, labelkeep, keepequal, dropequal and what is yet to come
			return fmt.Sprintf("%s has the action %s, whose effect on the targets is not worked out", field, action)
		}
	}
	return ""
}

// keeps applies the rules that keep and drop. The others were found harmless.
func keeps(rules []monitoringv1.RelabelConfig, c candidate) bool {
	if len(rules) == 0 {
		return true
	}
	for _, r := range rules {
		action := actionOf(r)
		if action != "keep" && action != "drop" {
			continue
		}
		separator := ";"
		if r.Separator != nil {
			separator = *r.Separator
		}
		var values []string
		for _, l := range r.SourceLabels {
			values = append(values, c.label(string(l)))
		}
		re, err := compile(r.Regex)
		if err != nil {
			return false
		}
		if re.MatchString(strings.Join(values, separator)) != (action == "keep") {
			return false
		}
	}
	return true
}

func actionOf(r monitoringv1.RelabelConfig) string {
	if r.Action == "" {
		return "replace"
	}
	return strings.ToLower(r.Action)
}

func compile(expression string) (*regexp.Regexp, error) {
	if expression == "" {
		expression = "(.*)"
	}
	return regexp.Compile("^(?s:" + expression + ")$")
}

// label is the value that service discovery gives to a known label.
func (c candidate) label(name string) string {
	pod := c.pod
	if pod == nil {
		pod = &corev1.Pod{}
	}
	service := &corev1.Service{}
	if c.service != nil {
		service = c.service
	}
	short := strings.TrimPrefix(name, "__meta_kubernetes_")
	switch short {
	case "namespace":
		return c.namespace
	case "service", "service_name":
		return service.Name
	case "pod", "pod_name":
		return c.podName
	case "container", "pod_container_name":
		return c.container
	case "__address__":
		return net.JoinHostPort(c.address, strconv.Itoa(int(c.port)))
	case "pod_ip":
		return pod.Status.PodIP
	case "pod_phase":
		return string(pod.Status.Phase)
	case "pod_node_name":
		return pod.Spec.NodeName
	case "pod_ready":
		return readiness(c.pod)
	case "pod_container_port_name":
		return c.containerPort
	case "pod_container_port_number":
		if c.declared {
			return strconv.Itoa(int(c.port))
		}
		return ""
	}
	for prefix, from := range map[string]map[string]string{
		"pod_label": pod.Labels, "pod_annotation": pod.Annotations, "service_label": service.Labels, "service_annotation": service.Annotations,
	} {
		for key, value := range from {
			switch short {
			case prefix + "_" + sanitized(key):
				return value
			case prefix + "present_" + sanitized(key):
				return "true"
			}
		}
	}
	return ""
}

func readiness(pod *corev1.Pod) string {
	if pod == nil {
		return ""
	}
	i := slices.IndexFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady })
	if i < 0 {
		return "unknown"
	}
	return strings.ToLower(string(pod.Status.Conditions[i].Status))
}

var notInLabel = regexp.MustCompile(`[^a-zA-Z0-9_]`)

func sanitized(key string) string { return notInLabel.ReplaceAllString(key, "_") }
