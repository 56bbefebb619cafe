package engine

import (
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// wrapperName is what Docker calls the OCI runtime wrapper.
const wrapperName = "cappedrunc"

// wrapperModule is the module path that the wrapper's imports begin with.
const wrapperModule = "github.com/seed-140c7b37/mtls-scrape-conformance"

// wrapperSource holds the wrapper's package and the one it imports, at their
// places in the module, so that one copy of the logic serves both this package
// and the wrapper, and a compiled test binary needs no source tree.
//
//go:embed capability/capability.go capability/filter.go cappedrunc/main.go
var wrapperSource embed.FS

// buildWrapper compiles the OCI runtime wrapper into dir and returns its path.
// The name carries a digest of the source: what is there is never built again,
// and a daemon that runs on an older one keeps it. It needs go on the PATH, and
// no network, since nothing outside the standard library is imported.
func buildWrapper(ctx context.Context, run runner, dir string) (string, error) {
	digest, err := wrapperDigest()
	if err != nil {
		return "", err
	}
	target := filepath.Join(dir, wrapperName+"-"+digest)
	if _, err := os.Stat(target); err == nil {
		return target, nil
	}
	goTool, err := run.look("go")
	if err != nil {
		return "", fmt.Errorf("this host does not hold every capability, so Docker needs an OCI runtime wrapper that is compiled here: %w: install Go and run again", err)
	}
	source, err := os.MkdirTemp("", wrapperName)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(source)
	if err := os.CopyFS(filepath.Join(source, "harness", "engine"), wrapperSource); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(source, "go.mod"), []byte("module "+wrapperModule+"\n\ngo 1.24\n"), 0o644); err != nil {
		return "", err
	}
	temporary := fmt.Sprintf("%s.%d", target, os.Getpid())
	defer os.Remove(temporary)
	// The caller's Go settings are for another module and, perhaps, machine.
	env := []string{"GO111MODULE=on", "GOWORK=off", "GOFLAGS=", "GOTOOLCHAIN=local", "GOPROXY=off",
		"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + runtime.GOARCH}
	if _, err := os.UserCacheDir(); err != nil && os.Getenv("GOCACHE") == "" { // as under cron
		env = append(env, "GOCACHE="+filepath.Join(source, "cache"))
	}
	if _, err := run.run(ctx, command{name: goTool, env: env, args: []string{
		"-C", source, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", temporary, "./harness/engine/cappedrunc",
	}}); err != nil {
		return "", fmt.Errorf("compiling the OCI runtime wrapper: %w", err)
	}
	return target, os.Rename(temporary, target)
}

func wrapperDigest() (string, error) {
	h := sha256.New()
	err := fs.WalkDir(wrapperSource, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := wrapperSource.ReadFile(path)
		fmt.Fprintf(h, "%s %d\n", path, len(text))
		h.Write(text)
		return err
	})
	return fmt.Sprintf("%x", h.Sum(nil)[:6]), err
}
