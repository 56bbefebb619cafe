package cluster

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Existing returns how to reach a cluster that is not ours: by a context of a
// kubeconfig, as kubectl finds both, or from within the cluster. Empty means the
// user's own kubeconfig and its current context. What it returns can only read.
func Existing(kubeconfig, context string, permitted ...Permission) (*rest.Config, error) {
	config, err := reach(kubeconfig, context)
	if err != nil {
		return nil, err
	}
	return ReadOnly(config, permitted...), nil
}

// ExistingWithin is Existing for a run that makes things there, in some namespaces
// and nowhere else: see [Within].
func ExistingWithin(kubeconfig, context string, namespaces ...string) (*rest.Config, error) {
	config, err := reach(kubeconfig, context)
	if err != nil {
		return nil, err
	}
	return Within(config, namespaces...), nil
}

// ExistingOwning is Existing for a run that makes things in one namespace, and a few
// objects that are in none: see [Owning].
func ExistingOwning(kubeconfig, context, namespace string, objects ...string) (*rest.Config, error) {
	config, err := reach(kubeconfig, context)
	if err != nil {
		return nil, err
	}
	return Owning(config, namespace, objects...), nil
}

// ExistingToClean is Existing for who removes what runs left there: it can change
// whatever its user can.
func ExistingToClean(kubeconfig, context string) (*rest.Config, error) {
	return reach(kubeconfig, context)
}

// servicesHost is what a kubelet sets in every container: the address of the API server.
const servicesHost = "KUBERNETES_SERVICE_HOST"

// ofPod is how a pod reaches its own cluster: by the files of its service account, which
// are read anew as they are renewed. A test puts another in its place.
var ofPod = rest.InClusterConfig

// reach reads a kubeconfig, or the credentials that a pod has.
func reach(kubeconfig, context string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context})
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	if _, ok := raw.Contexts[context]; context != "" && !ok {
		return nil, fmt.Errorf("the kubeconfig has no context %q: it has %s", context, names(raw.Contexts))
	}
	var config *rest.Config
	switch {
	case !clientcmdapi.IsConfigEmpty(&raw):
		config, err = loader.ClientConfig()
		if clientcmd.IsEmptyConfig(err) {
			return nil, fmt.Errorf("the kubeconfig has no current context: name one with CONTEXT=: it has %s", names(raw.Contexts))
		}
		if err != nil {
			return nil, fmt.Errorf("reading the kubeconfig: %w", err)
		}
	case os.Getenv(servicesHost) == "":
		return nil, errors.New("there is no kubeconfig, and this is no pod of a cluster: give KUBECONFIG=file or CONTEXT=name")
	default:
		if config, err = ofPod(); err != nil {
			return nil, fmt.Errorf("there is no kubeconfig, and this pod has no service account to go by: %w (leave automountServiceAccountToken out, or give KUBECONFIG=file)", err)
		}
	}
	config.QPS, config.Burst = guestQPS, 2*guestQPS
	config.UserAgent = userAgent
	return config, nil
}

// guestQPS is how many requests a second a guest sends at most. A pass is a few
// hundred requests, and an API server serves thousands a second.
const guestQPS = 100

func names[V any](all map[string]V) string {
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(all)), ", ")
}
