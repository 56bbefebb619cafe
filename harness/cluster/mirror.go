package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	"sigs.k8s.io/kind/pkg/cluster/nodes"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"
	"sigs.k8s.io/kind/pkg/exec"
)

// hostsFile tells containerd whom to ask for images of any registry that has no file
// of its own. It is read at every pull, so containerd need not be restarted.
const hostsFile = "/etc/containerd/certs.d/_default/hosts.toml"

// UseMirror makes every node pull all images through a registry. Nodes have a loopback
// of their own; if the registry is on this machine's, connections to the gateway of the
// cluster's network are carried there until the cluster is deleted or this process ends.
// The error is that of a node that cannot be written to, or of a gateway that is not this
// machine's.
func (c *Cluster) UseMirror(ctx context.Context, mirror *url.URL, loopback bool) error {
	all, err := c.provider().ListInternalNodes(c.Name)
	if err != nil {
		return fmt.Errorf("listing the nodes of %s: %w", c.Name, err)
	}
	if loopback && len(all) > 0 {
		if c.relay, err = relay(ctx, all[0], mirror.Host); err != nil {
			return fmt.Errorf("the nodes of %s do not reach the mirror %s on this machine's loopback: %w (give MIRROR an address that containers reach)", c.Name, mirror.Host, err)
		}
		mirror = &url.URL{Scheme: mirror.Scheme, Host: c.relay.Addr().String()}
	}
	for _, n := range all {
		if err := nodeutils.WriteFile(n, hostsFile, hosts(mirror)); err != nil {
			return fmt.Errorf("telling %s of the mirror: %w", n.String(), withOutput(err))
		}
	}
	return nil
}

// hosts names the mirror as the server itself, after which containerd would ask
// upstream's: what the mirror lacks is an error, not a way around it.
func hosts(mirror *url.URL) string {
	return fmt.Sprintf("server = %q\ncapabilities = [\"pull\", \"resolve\"]\n", mirror)
}

// relay carries connections from the gateway of a node's network to an address of this
// machine.
func relay(ctx context.Context, n nodes.Node, to string) (net.Listener, error) {
	routes, err := exec.OutputLines(n.Command("ip", "-4", "route", "show", "default"))
	if err != nil {
		return nil, withOutput(err)
	}
	gateway, err := gatewayOf(strings.Join(routes, "\n"))
	if err != nil {
		return nil, err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(gateway, "0"))
	if err != nil {
		return nil, err
	}
	go carry(listener, to)
	return listener, nil
}

// gatewayOf reads "default via 172.18.0.1 dev eth0".
func gatewayOf(route string) (string, error) {
	fields := strings.Fields(route)
	if len(fields) < 3 || fields[0] != "default" || fields[1] != "via" || net.ParseIP(fields[2]) == nil {
		return "", fmt.Errorf("the node's default route, %q, names no gateway", route)
	}
	return fields[2], nil
}

// carry joins every connection to one of its own until the listener is closed.
func carry(from net.Listener, to string) {
	for {
		near, err := from.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		go func() {
			defer near.Close()
			far, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", to)
			if err != nil {
				return // the node is told by the end of its connection
			}
			defer far.Close()
			go func() {
				_, _ = io.Copy(far, near)
				_ = far.(*net.TCPConn).CloseWrite()
			}()
			_, _ = io.Copy(near, far)
		}()
	}
}
