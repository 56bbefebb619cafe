package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// bake writes dir/layer.tar: containerd's root folder with images imported and unpacked,
// so that a node has none of them to pull, load or unpack when it starts.
//
// Unpacking needs the kernel's overlay file system on something that is not
// itself an overlay, so it is done by the node's own containerd, alone in a
// container with a volume.
func (b *Builder) bake(ctx context.Context, dir string, folders map[string]string, inside []Image) (err error) {
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	images, err := podImages(work, folders, inside)
	if err != nil {
		return err
	}
	// The store lets one run at a time bake in dir, so what has its name in the
	// engine was left by a killed one.
	container := "mtls-scrape-bake-" + keyOf(dir).Short()
	tag := "mtls-scrape-conformance/bake:" + keyOf(dir).Short()
	if err := b.discard(ctx, container, tag); err != nil {
		return err
	}
	defer func() {
		// The build may have been interrupted: clean up all the same, for a while.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		err = errors.Join(err, b.discard(ctx, container, tag))
	}()
	if err := b.startContainerd(ctx, work, folders["containerd"], container, tag); err != nil {
		return err
	}
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

// discard removes the container with its volume, and the image, if they are there.
func (b *Builder) discard(ctx context.Context, container, tag string) error {
	containers, err := b.engine.Output(ctx, "ps", "--all", "--quiet", "--filter", "name="+container)
	if err == nil && containers != "" {
		_, err = b.engine.Output(ctx, "rm", "--force", "--volumes", container)
	}
	images, imageErr := b.engine.Output(ctx, "images", "--quiet", tag)
	if imageErr == nil && images != "" {
		_, imageErr = b.engine.Output(ctx, "rmi", "--force", tag)
	}
	return errors.Join(err, imageErr)
}

// startContainerd runs containerd by itself, from an image of its own, and waits
// until it answers. Both are the caller's to discard, however it ends.
func (b *Builder) startContainerd(ctx context.Context, work, programs, container, tag string) error {
	layer := filepath.Join(work, "containerd")
	if err := os.Mkdir(layer, 0o755); err != nil {
		return err
	}
	err := writeLayer(filepath.Join(layer, "layer.tar"), []file{
		{path: "/bin/containerd", from: filepath.Join(programs, "containerd"), mode: 0o755},
		{path: "/bin/ctr", from: filepath.Join(programs, "ctr"), mode: 0o755},
		{path: "/tmp/.keep", content: []byte{}},
	})
	if err != nil {
		return err
	}
	img, err := stack(v1.Config{Entrypoint: []string{"/bin/containerd"}}, layer)
	if err != nil {
		return err
	}
	if err := b.load(ctx, tag, img); err != nil {
		return err
	}
	_, err = b.engine.Output(ctx, "run", "--detach", "--name="+container, "--privileged", "--network=none", "--volume=/var/lib/containerd", "--tmpfs=/run", tag)
	if err != nil {
		return fmt.Errorf("starting containerd to unpack the images: %w", err)
	}
	err = wait.For(ctx, "containerd to answer", func(ctx context.Context) (bool, string, error) {
		_, err := b.engine.Output(ctx, "exec", container, "/bin/ctr", "version")
		return err == nil, "", err
	}, wait.Timeout(time.Minute))
	if err != nil {
		return fmt.Errorf("%w\n  containerd's log:\n%s", err, b.lastLines(ctx, container))
	}
	return nil
}

// lastLines is the end of a container's log, as far as the engine gives it.
func (b *Builder) lastLines(ctx context.Context, container string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	// containerd logs to its standard error, which the client hands through.
	log, _ := b.engine.Command(ctx, "logs", "--tail=15", container).CombinedOutput()
	return tail(string(log), 15)
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
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return err
	}
	err = relocate(stream, out)
	if err != nil {
		_ = cmd.Process.Kill() // it would wait for ever for somebody to read on
	}
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return fmt.Errorf("copying the unpacked images out of the container: %w\n%s", err, tail(said.String(), 15))
	}
	return out.Close()
}
