package diagnosis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// policyRules are about the mode of mutual TLS at the target's port.
var policyRules = []Rule{
	{
		Code: "mtls-permissive", Layer: LayerPolicy,
		Title:   "The port is PERMISSIVE: plain text is served, and https of a client that is not Istio's is not",
		Explain: func(f *facts) []finding { return notStrict(f, observe.Permissive) },
	},
	{
		Code: "mtls-disabled", Layer: LayerPolicy,
		Title:   "Mutual TLS is switched off at the port",
		Explain: func(f *facts) []finding { return notStrict(f, observe.Disable) },
	},
}

// mtls is the mode that holds for a target's port.
func (f *facts) mtls(t *target) observe.MTLS {
	port, _ := strconv.ParseUint(t.Port, 10, 32)
	if t.mode.Mode == "" {
		t.mode = observe.EffectiveMTLS(f.o, t.pod.Namespace, t.pod.Labels, uint32(port))
	}
	return t.mode
}

func notStrict(f *facts, mode string) []finding {
	if _, unread := f.unread("peer authentications"); unread {
		return nil
	}
	served := f.servedPlain()
	var found []finding
	for _, t := range f.targets {
		if t.Scheme != "https" || t.pod == nil || proxyOf(t.pod) == nil || !t.troubled() && !served[t.name+":"+t.Port] {
			continue
		}
		m := f.mtls(t)
		if m.Mode != mode {
			continue
		}
		fits := append(slices.Clone(plainClasses), closedClasses...)
		if mode == observe.Disable {
			fits = append(slices.Clone(plainClasses), WrongFraming)
		}
		c, ok := t.confidence(fits...)
		seen := fmt.Sprintf("the mode of port %s of pod %s is %s (%s); %s", t.Port, t.name, mode, m.From, t.says())
		if served[t.name+":"+t.Port] {
			c, ok = reports.Certain, true
			seen += "; a client without any certificate was served in plain text"
		}
		if ok {
			found = append(found, t.finding(c, seen, f.makeStrict(t, m)))
		}
	}
	return found
}

// makeStrict is the change that brings a port to STRICT, in the object that keeps
// it from it.
func (f *facts) makeStrict(t *target, m observe.MTLS) string {
	object, field, _ := strings.Cut(m.From, ", ")
	switch {
	case !strings.HasPrefix(object, "PeerAuthentication "):
		return fmt.Sprintf("make a PeerAuthentication named default in Namespace %s with spec.mtls.mode STRICT", t.pod.Namespace)
	case field != "":
		return fmt.Sprintf("%s: set spec.portLevelMtls[%q].mode to STRICT", object, t.Port)
	}
	return object + ": set spec.mtls.mode to STRICT"
}

// servedPlain are the ports, as namespace/pod:port, at which somebody without a
// certificate was served in plain text.
func (f *facts) servedPlain() map[string]bool {
	ports := map[string]bool{}
	for _, p := range f.o.Probes {
		if p.Kind == observe.PlainText && slices.ContainsFunc(p.Attempts, func(a observe.Attempt) bool { return a.Answered && a.Code < 400 }) {
			ports[p.Pod+":"+p.Port] = true
		}
	}
	return ports
}
