package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// bake writes dir/layer.tar: containerd's root folder with every image of the
// catalogue imported and unpacked, so that a node has nothing to pull, load or
// unpack when it starts.
//
// Unpacking needs the kernel's overlay file system on something that is not
// itself an overlay, so it is done by the node's own containerd, alone in a
// container with a volume.
func (b *Builder) bake(ctx context.Context, dir string, folders map[string]string) (err error) {
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	images, err := b.podImages(work, folders)
	if err != nil {
		return err
	}
	container, err := b.startContainerd(ctx, work, folders["containerd"])
	if err != nil {
		return err
	}
	defer func() {
		// The build may have been interrupted: clean up all the same, for a while.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		_, rmErr := b.engine.Output(ctx, "rm", "--force", "--volumes", container)
		err = errors.Join(err, rmErr)
	}()
	importArgs := []string{"exec", "-i", container, "/bin/ctr", "--namespace=k8s.io", "images", "import", "--local", "--label=io.cri-containerd.pinned=pinned", "-"}
	err = b.pipe(ctx, b.engine.Binary, importArgs, func(w io.Writer) error { return tarball.MultiRefWrite(images, w) })
	if err != nil {
		return fmt.Errorf("importing the images: %w", err)
	}
	// Once unpacked, the layers themselves would only double the image's size.
	if _, err := b.engine.Output(ctx, "exec", container, "/bin/ctr", "--namespace=k8s.io", "content", "prune", "references"); err != nil {
		return err
	}
	if _, err := b.engine.Output(ctx, "stop", container); err != nil {
		return err
	}
	if err := b.copyOut(ctx, container, filepath.Join(dir, "layer.tar")); err != nil {
		return err
	}
	return os.RemoveAll(work)
}

// startContainerd runs containerd by itself and waits until it answers.
func (b *Builder) startContainerd(ctx context.Context, work, programs string) (container string, err error) {
	layer := filepath.Join(work, "containerd")
	if err := os.Mkdir(layer, 0o755); err != nil {
		return "", err
	}
	err = writeLayer(filepath.Join(layer, "layer.tar"), []file{
		{path: "/bin/containerd", from: filepath.Join(programs, "containerd"), mode: 0o755},
		{path: "/bin/ctr", from: filepath.Join(programs, "ctr"), mode: 0o755},
		{path: "/tmp/.keep", content: []byte{}},
	})
	if err != nil {
		return "", err
	}
	img, err := stack(v1.Config{Entrypoint: []string{"/bin/containerd"}}, layer)
	if err != nil {
		return "", err
	}
	id, err := img.Digest()
	if err != nil {
		return "", err
	}
	tag := "mtls-scrape-conformance/bake:" + id.Hex[:12]
	if _, err := name.NewTag(tag); err != nil {
		return "", err
	}
	if err := b.load(ctx, tag, img); err != nil {
		return "", err
	}
	out, err := b.engine.Output(ctx, "run", "--detach", "--privileged", "--network=none", "--volume=/var/lib/containerd", "--tmpfs=/run", tag)
	if err != nil {
		return "", fmt.Errorf("starting containerd to unpack the images: %w", err)
	}
	container = strings.TrimSpace(out)
	err = wait.For(ctx, "containerd to answer", func(ctx context.Context) (bool, string, error) {
		_, err := b.engine.Output(ctx, "exec", container, "/bin/ctr", "version")
		return err == nil, "", err
	}, wait.Timeout(time.Minute))
	if err != nil {
		logs, _ := b.engine.Output(context.WithoutCancel(ctx), "logs", "--tail=15", container)
		_, rmErr := b.engine.Output(context.WithoutCancel(ctx), "rm", "--force", "--volumes", container)
		return "", errors.Join(fmt.Errorf("%w\n  containerd's log:\n%s", err, logs), rmErr)
	}
	return container, nil
}

// copyOut writes containerd's root folder as a layer.
func (b *Builder) copyOut(ctx context.Context, container, to string) error {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := b.engine.Command(ctx, "cp", container+":/var/lib/containerd", "-")
	stream, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = relocate(stream, out)
	if err != nil {
		_ = cmd.Process.Kill() // it would wait for ever for somebody to read on
	}
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return fmt.Errorf("copying the unpacked images out of the container: %w", err)
	}
	return out.Close()
}
