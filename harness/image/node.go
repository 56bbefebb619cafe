package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// nodeFiles lists what turns a Debian root file system into a kind node: the
// files of kind's own base image, Kubernetes, containerd, and the network and
// storage manifests.
func (b *Builder) nodeFiles(ctx context.Context, parts map[string]string, k Kubernetes) ([]file, error) {
	kind, err := b.kindBase(ctx)
	if err != nil {
		return nil, err
	}
	files, err := kindBaseFiles(kind)
	if err != nil {
		return nil, err
	}
	runtimeSpec, err := containerdRuntimeSpec(ctx, filepath.Join(parts["containerd"], "ctr"))
	if err != nil {
		return nil, err
	}
	for _, p := range []string{"kubelet", "kubeadm", "kubectl"} {
		files = append(files, file{from: filepath.Join(parts[k.component()], p), path: "/usr/bin/" + p, mode: 0o755})
	}
	for _, p := range []string{"containerd", "containerd-shim-runc-v2", "ctr"} {
		files = append(files, file{from: filepath.Join(parts["containerd"], p), path: "/usr/local/bin/" + p, mode: 0o755})
	}
	for _, unit := range []string{"kubelet", "containerd", "undo-mount-hacks"} {
		files = append(files, file{
			path: "/etc/systemd/system/multi-user.target.wants/" + unit + ".service", link: "/etc/systemd/system/" + unit + ".service",
		})
	}
	return append(files,
		file{path: "/usr/sbin/init", link: "/usr/lib/systemd/systemd"},
		// It would register things in the kernel, which is the host's.
		file{path: "/etc/systemd/system/systemd-binfmt.service", link: "/dev/null"},
		file{path: "/etc/systemd/journald.conf.d/kind.conf", content: []byte("[Journal]\nReadKMsg=no\n")},
		file{path: "/etc/containerd/cri-base.json", content: runtimeSpec},
		file{path: "/opt/cni/bin", link: "/usr/lib/cni"},
		file{path: "/etc/cni/net.d/10-ptp.conflist", content: []byte(ptpNetwork)},
		file{path: "/kind/version", content: []byte(k.Packages)},
		file{path: "/kind/manifests/default-storage.yaml", content: []byte(storageClass)},
		file{path: "/etc/kubernetes/manifests/.keep", content: []byte{}},
	), nil
}

// ptpNetwork is a pod network for one node. Its subnet is the first /24 of
// kind's default pod network, which is what the controller manager gives the
// first node.
const ptpNetwork = `{
  "cniVersion": "0.4.0",
  "name": "ptp",
  "plugins": [
    {
      "type": "ptp",
      "ipMasq": true,
      "mtu": 1500,
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/cni-ipam-state",
        "routes": [{"dst": "0.0.0.0/0"}],
        "ranges": [[{"subnet": "10.244.0.0/24"}]]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`

// storageClass satisfies kind, which applies this file; nothing here asks for a
// volume that outlives its pod.
const storageClass = `apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: standard
  annotations:
    storageclass.kubernetes.io/is-default-class: "true"
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
`

// kindBase returns the folder of the files that kind's base image consists of,
// in the module of the kind release that the suite itself is built with.
func (b *Builder) kindBase(ctx context.Context) (string, error) {
	out, err := command{dir: b.root, env: goEnvironment, name: "go", args: []string{"list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kind"}}.run(ctx)
	if err != nil {
		return "", fmt.Errorf("finding kind's base image files: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "images", "base", "files"), nil
}

func kindBaseFiles(dir string) ([]file, error) {
	var files []file
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		f := file{path: "/" + filepath.ToSlash(rel), from: p}
		if strings.HasPrefix(f.path, "/usr/local/bin/") || strings.HasPrefix(f.path, "/kind/bin/") {
			f.mode = 0o755
		}
		if f.path == "/etc/containerd/config.toml" {
			config, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			if f.content, err = withPauseImage(config); err != nil {
				return err
			}
		}
		files = append(files, f)
		return nil
	})
	return files, err
}

// withPauseImage makes containerd's sandbox image the one that kubeadm names and
// that is baked in.
func withPauseImage(config []byte) ([]byte, error) {
	lines := strings.Split(string(config), "\n")
	for i, l := range lines {
		if strings.HasPrefix(strings.TrimSpace(l), "sandbox_image = ") {
			lines[i] = `  sandbox_image = "registry.k8s.io/` + pauseTag + `"`
			return []byte(strings.Join(lines, "\n")), nil
		}
	}
	return nil, fmt.Errorf("kind's containerd config no longer names a sandbox image: see nodeFiles")
}

// containerdRuntimeSpec is the spec that containerd starts every container from.
// As in kind's base image it is containerd's default without resource limits of
// its own; kind's hook, which shows containers a made-up machine name, is left
// out, since nothing here reads it and it runs before every container.
func containerdRuntimeSpec(ctx context.Context, ctr string) ([]byte, error) {
	out, err := command{name: ctr, args: []string{"oci", "spec"}}.run(ctx)
	if err != nil {
		return nil, err
	}
	var spec map[string]any
	if err := json.Unmarshal(out, &spec); err != nil {
		return nil, fmt.Errorf("reading containerd's default runtime spec: %w", err)
	}
	if p, ok := spec["process"].(map[string]any); ok {
		delete(p, "rlimits")
	}
	return json.Marshal(spec)
}

const (
	containerdRoot = "var/lib/containerd/"
	snapshots      = containerdRoot + "io.containerd.snapshotter.v1.overlayfs/snapshots/"
	// bakedSnapshots is outside /var on purpose. kind puts /var on a volume, and the
	// engine copies what the image has there into it each time a node starts: more
	// than a gigabyte of unpacked images. Outside it they are used where they are.
	bakedSnapshots = "kind/snapshots/"
)

// relocate copies the tar stream of a containerd root folder, as `docker cp`
// writes it, into a layer: the unpacked snapshots go to bakedSnapshots, with a
// link at the place where containerd looks for each.
func relocate(in io.Reader, out io.Writer) error {
	r, w := tar.NewReader(in), tar.NewWriter(out)
	linked := map[string]bool{}
	for {
		h, err := r.Next()
		if err == io.EOF {
			return w.Close()
		}
		if err != nil {
			return fmt.Errorf("reading the baked images: %w", err)
		}
		h.Name = relocated(h.Name)
		if h.Typeflag == tar.TypeLink {
			h.Linkname = relocated(h.Linkname)
		}
		if rest, ok := strings.CutPrefix(h.Name, bakedSnapshots); ok {
			id, _, _ := strings.Cut(rest, "/")
			if id != "" && !linked[id] {
				linked[id] = true
				if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: snapshots + id, Linkname: "/" + bakedSnapshots + id, Mode: 0o777}); err != nil {
					return err
				}
			}
		}
		h.Format = tar.FormatPAX // keeps extended attributes and long names
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
}

func relocated(name string) string {
	name = "var/lib/" + strings.TrimPrefix(name, "/") // docker cp starts names at the last folder
	if rest, ok := strings.CutPrefix(name, snapshots); ok && rest != "" {
		return bakedSnapshots + rest
	}
	return name
}
