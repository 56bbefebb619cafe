package observe

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	securityv1beta1 "istio.io/api/security/v1beta1"
	typev1beta1 "istio.io/api/type/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	unset      = securityv1beta1.PeerAuthentication_MutualTLS_UNSET
	disable    = securityv1beta1.PeerAuthentication_MutualTLS_DISABLE
	permissive = securityv1beta1.PeerAuthentication_MutualTLS_PERMISSIVE
	strict     = securityv1beta1.PeerAuthentication_MutualTLS_STRICT
)

type mode = securityv1beta1.PeerAuthentication_MutualTLS_Mode

// peer makes a policy that is as many minutes old.
func peer(namespace, name string, age int, m mode, selector map[string]string, ports map[uint32]mode) *securityv1.PeerAuthentication {
	p := &securityv1.PeerAuthentication{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: name,
		CreationTimestamp: metav1.NewTime(time.Unix(1e9, 0).Add(-time.Duration(age) * time.Minute)),
	}}
	p.Spec.Mtls = &securityv1beta1.PeerAuthentication_MutualTLS{Mode: m}
	if selector != nil {
		p.Spec.Selector = &typev1beta1.WorkloadSelector{MatchLabels: selector}
	}
	for port, m := range ports {
		if p.Spec.PortLevelMtls == nil {
			p.Spec.PortLevelMtls = map[uint32]*securityv1beta1.PeerAuthentication_MutualTLS{}
		}
		p.Spec.PortLevelMtls[port] = &securityv1beta1.PeerAuthentication_MutualTLS{Mode: m}
	}
	return p
}

func TestTheEffectiveModeFollowsIstiosPrecedence(t *testing.T) {
	app := map[string]string{"app": "a"}
	type policies = []*securityv1.PeerAuthentication
	without := peer("apps", "nothing", 1, unset, app, nil)
	without.Spec.Mtls = nil
	for name, c := range map[string]struct {
		policies policies
		mode     string
		from     string
	}{
		"nothing said is PERMISSIVE":                                 {nil, Permissive, istiosDefault},
		"the mesh decides alone":                                     {policies{peer("root", "mesh", 1, strict, nil, nil)}, Strict, "PeerAuthentication root/mesh"},
		"the namespace goes before the mesh":                         {policies{peer("root", "mesh", 9, strict, nil, nil), peer("apps", "ns", 1, permissive, nil, nil)}, Permissive, "PeerAuthentication apps/ns"},
		"the workload goes before both":                              {policies{peer("root", "mesh", 9, strict, nil, nil), peer("apps", "ns", 9, permissive, nil, nil), peer("apps", "w", 1, disable, app, nil)}, Disable, "PeerAuthentication apps/w"},
		"the port goes before the workload":                          {policies{peer("apps", "w", 1, strict, app, map[uint32]mode{9080: disable})}, Disable, "PeerAuthentication apps/w, portLevelMtls"},
		"another port does not count":                                {policies{peer("apps", "w", 1, strict, app, map[uint32]mode{9090: disable})}, Strict, "PeerAuthentication apps/w"},
		"an UNSET port takes the workload's":                         {policies{peer("apps", "w", 1, strict, app, map[uint32]mode{9080: unset})}, Strict, "PeerAuthentication apps/w"},
		"an UNSET workload takes the mesh's":                         {policies{peer("root", "mesh", 9, strict, nil, nil), peer("apps", "w", 1, unset, app, nil)}, Strict, "PeerAuthentication root/mesh"},
		"no mtls at all is UNSET":                                    {policies{peer("root", "mesh", 9, strict, nil, nil), without}, Strict, "PeerAuthentication root/mesh"},
		"an UNSET mesh is PERMISSIVE":                                {policies{peer("root", "mesh", 9, unset, nil, nil)}, Permissive, istiosDefault},
		"an UNSET port under an UNSET workload":                      {policies{peer("apps", "ns", 9, strict, nil, nil), peer("apps", "w", 1, unset, app, map[uint32]mode{9080: unset})}, Strict, "PeerAuthentication apps/ns"},
		"another workload's does not count":                          {policies{peer("apps", "w", 1, strict, map[string]string{"app": "b"}, nil)}, Permissive, istiosDefault},
		"another namespace's does not count":                         {policies{peer("other", "ns", 1, strict, nil, nil), peer("other", "w", 1, strict, app, nil)}, Permissive, istiosDefault},
		"a selector in the root namespace selects nothing elsewhere": {policies{peer("root", "w", 1, strict, app, nil)}, Permissive, istiosDefault},
		"ports without a selector do not count":                      {policies{peer("apps", "ns", 1, strict, nil, map[uint32]mode{9080: disable})}, Strict, "PeerAuthentication apps/ns"},
		"an empty selector is none":                                  {policies{peer("apps", "ns", 1, strict, map[string]string{}, nil)}, Strict, "PeerAuthentication apps/ns"},
		"of two for the namespace the older holds":                   {policies{peer("apps", "new", 1, disable, nil, nil), peer("apps", "old", 9, strict, nil, nil)}, Strict, "PeerAuthentication apps/old"},
		"of two for the workload the older holds, with its ports":    {policies{peer("apps", "old", 9, strict, app, nil), peer("apps", "new", 1, disable, app, map[uint32]mode{9080: disable})}, Strict, "PeerAuthentication apps/old"},
		"of two of one age the first by name holds":                  {policies{peer("apps", "b", 1, disable, nil, nil), peer("apps", "a", 1, strict, nil, nil)}, Strict, "PeerAuthentication apps/a"},
		"an empty entry is passed over":                              {policies{nil, peer("apps", "ns", 1, strict, nil, nil)}, Strict, "PeerAuthentication apps/ns"},
	} {
		t.Run(name, func(t *testing.T) {
			o := Observation{PeerAuthentications: c.policies, Mesh: Mesh{RootNamespace: "root"}}
			assert.Equal(t, MTLS{Mode: c.mode, From: c.from}, EffectiveMTLS(o, "apps", map[string]string{"app": "a", "version": "v1"}, 9080))
		})
	}
	t.Run("a workload in the root namespace goes by the mesh's", func(t *testing.T) {
		o := Observation{PeerAuthentications: policies{peer("istio-system", "mesh", 1, strict, nil, nil), peer("istio-system", "w", 1, disable, app, nil)}}
		assert.Equal(t, MTLS{Strict, "PeerAuthentication istio-system/mesh"}, EffectiveMTLS(o, "istio-system", app, 1))
	})
}
