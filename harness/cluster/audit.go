package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// Where the node has the policy of its audit log, and the log.
const (
	auditDir        = "/etc/kubernetes/audit"
	auditPolicyPath = auditDir + "/policy.yaml"
	auditLogDir     = "/var/log/kubernetes"
	auditLogPath    = auditLogDir + "/audit.log"
)

// auditPolicy has every request logged once, when it was answered, without what was
// in it.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Metadata
`

// auditPatch has the API server keep the log. Arguments are a list since kubeadm's
// v1beta4, which kind uses from Kubernetes 1.36 on; before, they are a map.
func auditPatch(v *version.Version) string {
	arguments := map[string]string{"audit-policy-file": auditPolicyPath, "audit-log-path": auditLogPath}
	var b strings.Builder
	b.WriteString("kind: ClusterConfiguration\napiServer:\n  extraArgs:\n")
	for _, name := range []string{"audit-policy-file", "audit-log-path"} {
		if v.AtLeast(version.MustParseGeneric("1.36.0")) {
			fmt.Fprintf(&b, "  - name: %s\n    value: %s\n", name, arguments[name])
		} else {
			fmt.Fprintf(&b, "    %s: %s\n", name, arguments[name])
		}
	}
	b.WriteString("  extraVolumes:\n")
	for _, volume := range []struct {
		name, path string
		readOnly   bool
	}{{"audit-policy", auditDir, true}, {"audit-log", auditLogDir, false}} {
		fmt.Fprintf(&b, "  - name: %s\n    hostPath: %s\n    mountPath: %[2]s\n    readOnly: %t\n    pathType: DirectoryOrCreate\n", volume.name, volume.path, volume.readOnly)
	}
	return b.String()
}

// Audited returns what the API server logged of a user, whether he came by himself or
// somebody impersonated him. It is for clusters that were made with [Options.Audit].
func (c *Cluster) Audited(ctx context.Context, user string) ([]auditv1.Event, error) {
	nodes, err := c.provider().ListInternalNodes(c.Name)
	if err != nil || len(nodes) == 0 {
		return nil, fmt.Errorf("reading the audit log of %s, which has %d nodes: %w", c.Name, len(nodes), err)
	}
	// Most of the log is of others.
	lines, err := c.engine.Output(ctx, "exec", nodes[0].String(), "grep", "--fixed-strings", `"username":"`+user+`"`, auditLogPath)
	if err != nil {
		return nil, fmt.Errorf("reading what the API server of %s logged of %s: %w", c.Name, user, err)
	}
	return parseAudit(lines)
}

// parseAudit reads one event a line.
func parseAudit(lines string) ([]auditv1.Event, error) {
	var events []auditv1.Event
	for line := range strings.Lines(lines) {
		var e auditv1.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return nil, fmt.Errorf("the audit log has a line that is no event: %w", err)
		}
		events = append(events, e)
	}
	return events, nil
}
