// Package cluster makes the ephemeral kind cluster of a run and takes it away
// again, together with everything that kind leaves: containers, the network, the
// kubeconfig.
//
// It never reuses a cluster that it did not make in this run, never writes to the
// user's own kubeconfig, and never installs anything into the cluster. Of a cluster
// that is not ours it opens a way that only reads, or that changes nothing but some
// namespaces: see [Existing] and [ExistingWithin].
//
// Read [Cluster] first.
package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/e2e-framework/klient"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	kind "sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/engine"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// Prefix begins the name of every cluster this project makes, so that clean-up
// can tell them from a user's own.
const Prefix = "mtls-scrape-"

// longestName is kind's own bound: the node's host name is longer by 14, and a
// host name ends at 64.
const longestName = 50

var validName = regexp.MustCompile(`^` + Prefix + `[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

// CheckName refuses a name that no cluster of this project can have. Names become
// those of containers, networks and folders, some of which are removed again.
func CheckName(name string) error {
	switch {
	case !strings.HasPrefix(name, Prefix):
		return fmt.Errorf("the cluster name %q must begin with %s, so that clean-up can tell it from others", name, Prefix)
	case !validName.MatchString(name):
		return fmt.Errorf("the cluster name %q must go on after %s with lower-case letters, digits, dots and hyphens, and end with a letter or a digit", name, Prefix)
	case len(name) > longestName:
		return fmt.Errorf("the cluster name %q has %d characters: use at most %d, or the node's host name is too long", name, len(name), longestName)
	}
	return nil
}

// userAgent is by what an API server's log tells our requests from others.
const userAgent = "mtls-scrape-conformance"

// deleteTimeout bounds the removal of a cluster, which takes a second or two.
const deleteTimeout = 2 * time.Minute

// Cluster is a running cluster and how to reach it.
type Cluster struct {
	Name       string
	Kubeconfig string // path of a file that holds this cluster and nothing else
	engine     *engine.Engine
	relay      net.Listener // to a mirror on this machine's loopback; nil without one
}

// Options say what cluster to make.
type Options struct {
	Name              string // must begin with Prefix
	Engine            *engine.Engine
	NodeImage         string
	KubernetesVersion string // of the node image, as in "v1.37.2"
	Baked             *Baked // what the node image has inside where it is not kind's; nil for kind's
	Dir               string // for the kubeconfig and what the node mounts; exists
	Audit             bool   // the API server keeps a log of every request: see [Cluster.Audited]
}

// Baked says what a node image that is not kind's has inside: a pod network, so that
// kind's is not installed, and etcd and CoreDNS, which kubeadm looks for by these tags.
type Baked struct{ EtcdTag, CoreDNSTag string }

// Create makes the cluster and waits until its node is ready. A cluster that is
// returned beside an error is as far as it came: it is the caller's to look at
// and to delete.
func Create(ctx context.Context, o Options) (*Cluster, error) {
	if err := CheckName(o.Name); err != nil {
		return nil, err
	}
	c := &Cluster{Name: o.Name, Kubeconfig: filepath.Join(o.Dir, "kubeconfig"), engine: o.Engine}
	existing, err := c.leftovers(ctx)
	if err != nil {
		return nil, err
	}
	if len(existing) > 0 {
		return nil, fmt.Errorf("a cluster named %s is already there (%s): it is not reused; remove it with `make down` or choose another CLUSTER name", o.Name, strings.Join(existing, ", "))
	}
	config, err := nodeConfig(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := c.create(ctx, o.NodeImage, config); err != nil {
		return c, err
	}
	if err := c.waitReady(ctx); err != nil {
		return c, err
	}
	return c, nil
}

// Open takes up a cluster that an earlier run made and kept.
func Open(ctx context.Context, e *engine.Engine, name, dir string) (*Cluster, error) {
	c := &Cluster{Name: name, Kubeconfig: filepath.Join(dir, "kubeconfig"), engine: e}
	nodes, err := c.provider().ListNodes(name)
	if err != nil {
		return nil, fmt.Errorf("looking for the cluster %s: %w", name, err)
	}
	if len(nodes) == 0 {
		return nil, fmt.Errorf("there is no cluster named %s: make one with `make up`", name)
	}
	content, err := c.provider().KubeConfig(name, false)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of %s: %w", name, err)
	}
	if err := os.WriteFile(c.Kubeconfig, []byte(content), 0o600); err != nil {
		return nil, err
	}
	return c, ctx.Err()
}

func (c *Cluster) provider() *kind.Provider {
	// kind joins all clusters to one network by default. A network of its own per
	// cluster can be removed with it; kind has no option for this but the variable.
	for _, v := range []string{"KIND_EXPERIMENTAL_DOCKER_NETWORK", "KIND_EXPERIMENTAL_PODMAN_NETWORK"} {
		os.Setenv(v, c.Name)
	}
	return kind.NewProvider(c.engine.KindOption(), kind.ProviderWithLogger(quiet{}))
}

// create runs kind, which knows no context. When the context ends first, the
// node is taken away from under it, upon which it fails, and only then does
// create return: nothing of it goes on in the background.
func (c *Cluster) create(ctx context.Context, nodeImage string, config *v1alpha4.Cluster) error {
	done := make(chan error, 1)
	go func() {
		done <- c.provider().Create(c.Name,
			kind.CreateWithV1Alpha4Config(config),
			kind.CreateWithNodeImage(nodeImage),
			kind.CreateWithKubeconfigPath(c.Kubeconfig),
			kind.CreateWithDisplayUsage(false),
			kind.CreateWithDisplaySalutation(false),
		)
	}()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("creating the kind cluster %s: %w", c.Name, withOutput(err))
		}
		return nil
	case <-ctx.Done():
	}
	ticker := time.NewTicker(wait.DefaultInterval)
	defer ticker.Stop()
	for {
		_ = c.provider().Delete(c.Name, c.Kubeconfig)
		select {
		case <-done: //nolint:errcheck // that it failed is the purpose
			return fmt.Errorf("creating the kind cluster %s was interrupted: %w", c.Name, ctx.Err())
		case <-ticker.C:
		}
	}
}

// waitReady waits for what pods need to start: a ready node, and the service
// account that every pod of the default namespace runs as.
func (c *Cluster) waitReady(ctx context.Context) error {
	client, err := c.Client()
	if err != nil {
		return err
	}
	return wait.For(ctx, "the node of "+c.Name+" to be ready", func(ctx context.Context) (bool, string, error) {
		var nodes corev1.NodeList
		if err := client.Resources().List(ctx, &nodes); err != nil {
			return false, "", err
		}
		for _, n := range nodes.Items {
			for _, cond := range n.Status.Conditions {
				if cond.Type == corev1.NodeReady && cond.Status != corev1.ConditionTrue {
					return false, n.Name + " is not ready: " + cond.Message, nil
				}
			}
		}
		var account corev1.ServiceAccount
		if err := client.Resources("default").Get(ctx, "default", "default", &account); err != nil {
			return false, "the node is ready, the default service account is not there yet", err
		}
		return len(nodes.Items) > 0, fmt.Sprintf("%d nodes", len(nodes.Items)), nil
	}, wait.Timeout(2*time.Minute))
}

// KubernetesVersion is what the node's image says that it runs, as in "v1.37.2": a
// mirror may have another than the one that was asked for.
func (c *Cluster) KubernetesVersion() (string, error) {
	nodes, err := c.provider().ListInternalNodes(c.Name)
	if err != nil {
		return "", fmt.Errorf("listing the nodes of %s: %w", c.Name, err)
	}
	if len(nodes) == 0 {
		return "", fmt.Errorf("the cluster %s has no node any more", c.Name)
	}
	return nodeutils.KubeVersion(nodes[0])
}

// Load puts the images of an archive onto every node.
func (c *Cluster) Load(archive string) error {
	nodes, err := c.provider().ListInternalNodes(c.Name)
	if err != nil {
		return fmt.Errorf("listing the nodes of %s: %w", c.Name, err)
	}
	for _, n := range nodes {
		f, err := os.Open(archive)
		if err != nil {
			return err
		}
		err = nodeutils.LoadImageArchive(n, f)
		f.Close()
		if err != nil {
			return fmt.Errorf("loading %s onto %s: %w", filepath.Base(archive), n.String(), withOutput(err))
		}
	}
	return nil
}

// REST returns how to reach the API server. The limits of client-go are meant
// for controllers; a run is short and its own limit is its worker count.
func (c *Cluster) REST() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of %s: %w", c.Name, err)
	}
	config.QPS, config.Burst = 100, 200
	config.UserAgent = userAgent
	return config, nil
}

// Client returns a client that knows the types of Kubernetes.
func (c *Cluster) Client() (klient.Client, error) {
	config, err := c.REST()
	if err != nil {
		return nil, err
	}
	return NewClient(config)
}

// Delete removes the cluster, its network and its kubeconfig, and fails if
// anything is left. It can be called again.
func (c *Cluster) Delete(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, deleteTimeout)
	defer cancel()
	if c.relay != nil {
		_ = c.relay.Close() // nobody is left to use it
	}
	if err := c.provider().Delete(c.Name, c.Kubeconfig); err != nil {
		return fmt.Errorf("deleting the cluster %s: %w", c.Name, withOutput(err))
	}
	if has, err := c.hasNetwork(ctx); err != nil {
		return err
	} else if has {
		if _, err := c.engine.Output(ctx, "network", "rm", c.Name); err != nil {
			return fmt.Errorf("removing the network of %s: %w", c.Name, err)
		}
	}
	if err := os.RemoveAll(c.Kubeconfig); err != nil {
		return err
	}
	_ = os.Remove(c.Kubeconfig + ".lock") // kind's own lock file
	left, err := c.leftovers(ctx)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("the cluster %s was deleted but left %s: run `make clean`", c.Name, strings.Join(left, ", "))
	}
	return nil
}

// leftovers names what the engine still has of this cluster.
func (c *Cluster) leftovers(ctx context.Context) ([]string, error) {
	out, err := c.engine.Output(ctx, "ps", "--all", "--filter", "label=io.x-k8s.kind.cluster="+c.Name, "--format", "{{.Names}}")
	if err != nil {
		return nil, err
	}
	var left []string
	for _, n := range strings.Fields(out) {
		left = append(left, "container "+n)
	}
	has, err := c.hasNetwork(ctx)
	if has {
		left = append(left, "network "+c.Name)
	}
	return left, err
}

func (c *Cluster) hasNetwork(ctx context.Context) (bool, error) {
	// The filter matches parts of names, hence the comparison.
	out, err := c.engine.Output(ctx, "network", "ls", "--filter", "name="+c.Name, "--format", "{{.Name}}")
	for _, n := range strings.Fields(out) {
		if n == c.Name {
			return true, err
		}
	}
	return false, err
}

// Names lists every cluster of this project that the engine has, also those of
// which only a network is left.
func Names(ctx context.Context, e *engine.Engine) ([]string, error) {
	containers, err := e.Output(ctx, "ps", "--all", "--filter", "label=io.x-k8s.kind.cluster", "--format", `{{.Label "io.x-k8s.kind.cluster"}}`)
	if err != nil {
		return nil, err
	}
	networks, err := e.Output(ctx, "network", "ls", "--filter", "name="+Prefix, "--format", "{{.Name}}")
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var names []string
	for _, n := range append(strings.Fields(containers), strings.Fields(networks)...) {
		if strings.HasPrefix(n, Prefix) && !seen[n] {
			seen[n] = true
			names = append(names, n)
		}
	}
	return names, nil
}

// Remove deletes a cluster of this project by name, such as one that a killed
// run left.
func Remove(ctx context.Context, e *engine.Engine, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", Prefix+"remove-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return (&Cluster{Name: name, Kubeconfig: filepath.Join(dir, "kubeconfig"), engine: e}).Delete(ctx)
}
