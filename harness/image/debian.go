package image

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// rootfs is a Debian root file system, made of packages.
type rootfs struct {
	name     string
	packages []string
	hooks    []string // shell commands run on the new root, which is $1
}

// debianSuite is fixed, so that every host builds the same file systems. Its
// glibc 2.36 is newer than the 2.31 that the Envoy binary asks for.
const debianSuite = "bookworm"

var (
	// nodeRootfs has the packages that kind's own base image installs, less the
	// network storage clients that nothing here mounts, plus runc and the CNI
	// plugins, which kind builds from source. The hooks are the clean-up of kind's
	// base image: a node is a container, and no unit of the distribution is wanted.
	nodeRootfs = rootfs{
		name: "rootfs-node",
		packages: []string{
			"systemd", "conntrack", "iptables", "nftables", "iproute2", "ethtool", "util-linux", "mount", "kmod",
			"libseccomp2", "pigz", "e2fsprogs", "bash", "ca-certificates", "jq", "procps", "runc", "containernetworking-plugins",
		},
		hooks: []string{
			`rm -f "$1"/lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service "$1"/lib/systemd/system/multi-user.target.wants/* "$1"/etc/systemd/system/*.wants/* "$1"/lib/systemd/system/local-fs.target.wants/* "$1"/lib/systemd/system/sockets.target.wants/*udev* "$1"/lib/systemd/system/sockets.target.wants/*initctl* "$1"/lib/systemd/system/basic.target.wants/*`,
		},
	}
	// podRootfs is the one base of every image that needs more than a static
	// program: kube-proxy and Istio's proxy want iptables, productpage wants Python
	// with the real Prometheus client. One base means one layer to unpack.
	podRootfs = rootfs{
		name:     "rootfs-pod",
		packages: []string{"ca-certificates", "conntrack", "iptables", "nftables", "python3-minimal", "python3-prometheus-client"},
	}
)

func (r rootfs) key() Key {
	return keyOf(recipeVersion, "mmdebstrap", debianSuite, runtime.GOARCH, r.name, fmt.Sprint(r.packages, r.hooks), fmt.Sprint(mmdebstrapOptions))
}

// mmdebstrapOptions leave out what no container reads.
var mmdebstrapOptions = []string{
	"--variant=minbase", "--dpkgopt=force-unsafe-io", `--aptopt=Acquire::Languages "none"`,
	"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
	"--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=path-exclude=/usr/share/info/*",
}

// make writes the file system to dir/layer.tar.
func (r rootfs) make(ctx context.Context, dir string) error {
	args := append([]string{"--architectures=" + runtime.GOARCH, "--include=" + strings.Join(r.packages, ",")}, mmdebstrapOptions...)
	for _, h := range r.hooks {
		args = append(args, "--customize-hook="+h)
	}
	args = append(args, debianSuite, filepath.Join(dir, "layer.tar"))
	_, err := command{name: "mmdebstrap", args: args, env: []string{"SOURCE_DATE_EPOCH=0"}}.run(ctx)
	return err
}

// hostTools are the programs that building from packages needs on the host, with
// the Debian package of each.
var hostTools = map[string]string{"mmdebstrap": "mmdebstrap", "pip3": "python3-pip"}

// ensureHostTools installs the tools that are missing, where that is ours to do.
func ensureHostTools(ctx context.Context) error {
	var missing []string
	for tool, pkg := range hostTools {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	_, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("building images from packages needs %s: install it and run again, or use IMAGES=registry", strings.Join(missing, " and "))
	}
	apt := []string{"DEBIAN_FRONTEND=noninteractive"}
	if _, err := (command{name: "apt-get", args: []string{"update", "-qq"}, env: apt}).run(ctx); err != nil {
		return err
	}
	_, err = command{name: "apt-get", args: append([]string{"install", "-y", "-qq", "--no-install-recommends"}, missing...), env: apt}.run(ctx)
	return err
}
