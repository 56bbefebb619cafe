package run

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/engine"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// cleanUp removes clusters of this project: one by name, or all of them, with the files
// of those that are gone already and an engine that was started for them.
func cleanUp(c Config) int {
	if c.Mode == Clean && (c.Kubeconfig != "" || c.Context != "") {
		return cleanSandbox(c)
	}
	ctx, cancel := context.WithTimeout(context.Background(), finishTimeout)
	defer cancel()
	engineDir := filepath.Join(c.Cache, "engine")
	e, err := engine.Find(ctx, engine.Options{StateDir: engineDir, Log: func(string, ...any) {}})
	var there []string
	if err == nil {
		there, err = cluster.Names(ctx, e)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return int(reports.ExitSetupFailed)
	}
	names, all := []string{c.Cluster}, c.Mode == Clean && c.Cluster == ""
	if all {
		names = there
		for _, n := range withFiles(c.Cache) {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	code := reports.ExitConformant
	for _, n := range names {
		said, err := remove(ctx, e, c.Cache, n, slices.Contains(there, n))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = reports.ExitLeftovers
			continue
		}
		fmt.Println(said)
	}
	if len(names) == 0 {
		fmt.Println("nothing to remove")
	}
	if all && code == reports.ExitConformant {
		if err := endEngine(ctx, e, engineDir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return int(reports.ExitLeftovers)
		}
	}
	return int(code)
}

// remove removes a cluster and its files, and says what there was to remove.
func remove(ctx context.Context, e *engine.Engine, cache, name string, there bool) (said string, err error) {
	if err := cluster.CheckName(name); err != nil {
		return "", err
	}
	files := clusterDir(cache, name)
	_, err = os.Stat(files)
	said = map[bool]string{true: "removed the files of " + name + ", which was gone already", false: "there is no cluster " + name}[err == nil]
	if there {
		said = "removed " + name
		if err := cluster.Remove(ctx, e, name); err != nil {
			return "", err
		}
	}
	return said, os.RemoveAll(files)
}

// clusterDir is the folder of a cluster: its kubeconfig, and what its node mounts.
func clusterDir(cache, name string) string { return filepath.Join(cache, "clusters", name) }

// withFiles are the names of clusters of this project that have a folder, whether or not
// they still stand.
func withFiles(cache string) []string {
	entries, err := os.ReadDir(clusterDir(cache, ""))
	if err != nil {
		return nil // no run has made the folder of folders yet
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), cluster.Prefix) {
			names = append(names, e.Name())
		}
	}
	return names
}

// endEngine ends the engine that a run started, unless somebody runs something else on
// it. One that is the host's own stays.
func endEngine(ctx context.Context, e *engine.Engine, stateDir string) error {
	running, err := e.Output(ctx, "ps", "--quiet")
	if err != nil {
		return fmt.Errorf("looking for what else runs on the engine: %w", err)
	}
	if strings.TrimSpace(running) != "" {
		return nil
	}
	return engine.Stop(ctx, stateDir)
}
